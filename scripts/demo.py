"""Trains TransformerClassifier on two bundled data sets and prints what it scores on their test halves."""

import time

from tsformer import TransformerClassifier
from tsformer.datasets import load_classification


def main() -> None:
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


if __name__ == "__main__":
    main()
