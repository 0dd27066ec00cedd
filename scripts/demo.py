"""Classifies two bundled data sets, then forecasts a third: prints accuracies, errors and times, and saves a plot."""

import time

import numpy as np
import pandas as pd

from tsformer import TransformerClassifier, TransformerForecaster
from tsformer.datasets import load_classification, load_forecasting
from tsformer.plotting import ForecastDisplay

PLOT = "forecast.png"


def main() -> None:
    """Classify, then forecast."""
    classify()
    print()
    forecast()


def classify() -> None:
    """Print one line a data set: its size, the accuracy on TEST, and the times."""
    print(f"{'data set':<16}{'train':>6}{'test':>6}{'accuracy':>10}{'fit':>8}{'predict':>9}")
    for name in ("BasicMotions", "JapaneseVowels"):
        X, y = load_classification(name, split="train")
        X_test, y_test = load_classification(name, split="test")
        classifier = TransformerClassifier(random_state=0)
        start = time.perf_counter()
        classifier.fit(X, y)
        fitted = time.perf_counter()
        accuracy = classifier.score(X_test, y_test)
        end = time.perf_counter()
        times = f"{fitted - start:>6.1f} s{end - fitted:>7.2f} s"
        print(f"{name:<16}{len(y):>6}{len(y_test):>6}{accuracy:>10.3f}{times}", flush=True)
    print("The series of JapaneseVowels differ in length. Both fits use the default settings.")


def forecast() -> None:
    """Forecast the last year of AirPassengers without having seen it, and draw it with its bands."""
    passengers = load_forecasting("AirPassengers")
    history, truth = passengers[:-12], passengers[-12:]
    scale = np.abs(history.diff(12)).mean()

    def tell(name: str, predicted: pd.Series, seconds: float) -> None:
        print(f"{name:<24}{np.abs(predicted - truth).mean() / scale:>6.3f}{seconds:>8.1f} s", flush=True)

    print(f"AirPassengers, the last 12 of {len(passengers)} months: MASE, and seconds of fit and predict")
    tell("seasonal naive", history[-12:].set_axis(truth.index), 0.0)
    for name, max_steps in {"zero-shot": 0, "fitted for 200 steps": 200}.items():
        start = time.perf_counter()
        forecaster = TransformerForecaster(horizon=12, max_steps=max_steps, random_state=0).fit(history)
        tell(name, forecaster.predict(), time.perf_counter() - start)
    display = ForecastDisplay.from_estimator(forecaster)
    display.axes_[0].plot(truth, color="0.25", linestyle=":", label="what came")
    display.axes_[0].legend(loc="upper left", frameon=False)
    display.figure_.savefig(PLOT, dpi=150)
    print(f"History, forecast and its 80 and 95 % bands: {PLOT}")


if __name__ == "__main__":
    main()
