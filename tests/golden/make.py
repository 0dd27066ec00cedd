"""Makes the golden files of this release: a saved classifier and forecaster, and what they predict.

Run once for a release that changes what `save` writes, `python tests/golden/make.py`; later releases must load the
files, so after a release they are never made anew to let a test pass.
"""

import json
from pathlib import Path

import tsformer
from tsformer import TransformerClassifier, TransformerForecaster, TransformerPretrainer, save
from tsformer.datasets import load_classification, load_forecasting

FOLDER = Path(__file__).parent
SMALL = {"d_model": 16, "n_heads": 1, "n_layers": 1, "d_ff": 16, "max_steps": 30, "random_state": 0, "device": "cpu"}


def main() -> None:
    """Write `<version>-classifier` and `<version>-forecaster`, each as .safetensors and .json."""
    X, y = (each[::9] for each in load_classification("JapaneseVowels", split="train"))  # a small file
    series, _ = load_classification("JapaneseVowels", split="test")
    pretrainer = TransformerPretrainer(n_resampled=32, **SMALL | {"max_steps": 2}).fit(X)
    classifier = TransformerClassifier(n_estimators=2, encoder="patch", pretrained=pretrainer, **SMALL).fit(X, y)
    classifier.set_params(pretrained="bundled")  # an estimator cannot be saved as a parameter; its network is kept
    keep(classifier, "classifier", classifier.predict_proba(series[:4]).tolist())

    passengers = load_forecasting("AirPassengers")
    forecaster = TransformerForecaster(horizon=6, calendar=True, **SMALL).fit(passengers)
    keep(forecaster, "forecaster", forecaster.predict(level=80).to_numpy().tolist())


def keep(estimator, name: str, predictions: list) -> None:
    """Write an estimator and its predictions, unless they are there."""
    path = FOLDER / f"{tsformer.__version__}-{name}.safetensors"
    if path.exists():
        raise SystemExit(f"{path} is there. Golden files stay as they are.")
    save(estimator, path)
    path.with_suffix(".json").write_text(json.dumps(predictions) + "\n")


if __name__ == "__main__":
    main()
