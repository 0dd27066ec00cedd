"""Classifies two bundled data sets, then forecasts a third: says what it does, prints results, and saves a plot.

In a terminal each training shows a bar.
"""

import sys
import time

import numpy as np
import pandas as pd

from tsformer import TransformerClassifier, TransformerForecaster
from tsformer.datasets import load_classification, load_forecasting
from tsformer.plotting import ForecastDisplay

PLOT = "forecast.png"
WATCHED = sys.stderr.isatty()
ABOUT = {
    "BasicMotions": "six channels of a smart watch: standing, walking, running or badminton",
    "JapaneseVowels": "twelve channels of speech, of unequal length: which of nine speakers",
}


def main() -> None:
    """Classify, then forecast."""
    classify()
    print()
    forecast()


def classify() -> None:
    """Print one line a data set: its size, the accuracy on TEST, and the times."""
    print("1. Classify, with the default settings; a fit takes some ten seconds up to a minute.")
    print(*(f"   {name}: {about}." for name, about in ABOUT.items()), sep="\n", flush=True)
    print(f"{'data set':<16}{'train':>6}{'test':>6}{'accuracy':>10}{'fit':>8}{'predict':>9}")
    for name in ABOUT:
        X, y = load_classification(name, split="train")
        X_test, y_test = load_classification(name, split="test")
        classifier = TransformerClassifier(random_state=0, verbose=WATCHED)
        start = time.perf_counter()
        classifier.fit(X, y)
        fitted = time.perf_counter()
        accuracy = classifier.score(X_test, y_test)
        end = time.perf_counter()
        times = f"{fitted - start:>6.1f} s{end - fitted:>7.2f} s"
        print(f"{name:<16}{len(y):>6}{len(y_test):>6}{accuracy:>10.3f}{times}", flush=True)


def forecast() -> None:
    """Forecast the last year of AirPassengers without having seen it, and draw it with its bands."""
    passengers = load_forecasting("AirPassengers")
    history, truth = passengers[:-12], passengers[-12:]
    scale = np.abs(history.diff(12)).mean()

    def tell(name: str, predicted: pd.Series, seconds: float) -> None:
        print(f"{name:<24}{np.abs(predicted - truth).mean() / scale:>6.3f}{seconds:>12.1f} s", flush=True)

    print(f"2. Forecast the last 12 of {len(passengers)} months of AirPassengers: by last year's values, by the")
    print("   pretrained weights as they are, and after 200 steps of training. MASE is the error; less is better.")
    print(f"{'forecast':<24}{'MASE':>6}{'fit, predict':>14}", flush=True)
    tell("seasonal naive", history[-12:].set_axis(truth.index), 0.0)
    for name, max_steps in {"zero-shot": 0, "fitted for 200 steps": 200}.items():
        start = time.perf_counter()
        forecaster = TransformerForecaster(horizon=12, max_steps=max_steps, random_state=0, verbose=WATCHED).fit(
            history
        )
        tell(name, forecaster.predict(), time.perf_counter() - start)
    display = ForecastDisplay.from_estimator(forecaster)
    display.axes_[0].plot(truth, color="0.25", linestyle=":", label="what came")
    display.axes_[0].legend(loc="upper left", frameon=False)
    display.figure_.savefig(PLOT, dpi=150)
    print(f"3. Drew history, forecast and its 80 and 95 % bands: {PLOT}")


if __name__ == "__main__":
    main()
