"""The command line: `tsformer classify TRAIN TEST --out predictions.csv`."""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from tsformer.data.files import READERS, Labelled
from tsformer.estimators.classifier import TransformerClassifier


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return 0, or 2 after an error, which is told in one line."""
    options = _parser().parse_args(arguments)
    try:
        options.command(options)
    except (ValueError, TypeError, OSError) as error:
        print(f"tsformer: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tsformer", description="Transformers for time series.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    classify = commands.add_parser("classify", help="train on labelled series and label others")
    classify.add_argument("train", type=Path, metavar="TRAIN", help="labelled series, .ts or UCR .tsv")
    classify.add_argument("test", type=Path, metavar="TEST", help="series to label, in the same formats")
    classify.add_argument("--out", type=Path, required=True, help="CSV to write: prediction and probabilities")
    classify.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:<number> (default: auto)")
    classify.add_argument("--seed", type=int, default=0, help="random_state of the classifier (default: 0)")
    classify.add_argument("--quiet", action="store_true", help="show no progress bar")
    classify.set_defaults(command=_classify)
    return parser


def _classify(options: argparse.Namespace) -> None:
    X, y = _read(options.train)
    X_test, y_test = _read(options.test)
    classifier = TransformerClassifier(device=options.device, random_state=options.seed, verbose=not options.quiet)
    start = time.perf_counter()
    classifier.fit(X, y)
    seconds = time.perf_counter() - start
    probabilities = classifier.predict_proba(X_test)
    predictions = classifier.classes_[probabilities.argmax(axis=1)]
    table = pd.DataFrame(probabilities, columns=[f"probability_{label}" for label in classifier.classes_])
    table.insert(0, "prediction", predictions)
    table.to_csv(options.out, index_label="case")
    print(f"Trained on {len(y)} cases in {seconds:.0f} s; wrote {len(table)} predictions to {options.out}.")
    print(f"Accuracy against the labels in {options.test.name}: {(predictions == y_test).mean():.3f}")


def _read(path: Path) -> Labelled:
    if path.suffix not in READERS:
        raise ValueError(f"{path} must be one of {', '.join(sorted(READERS))}. Got the suffix {path.suffix!r}.")
    return READERS[path.suffix](path)


if __name__ == "__main__":
    sys.exit(main())
