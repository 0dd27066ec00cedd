"""Cross-validation over a long frame that never tests a person it was trained on.

Two movements are told apart. Each person moves in a way of its own and was recorded several times, so recordings of one
person must not lie on both sides of a split: python examples/grouped_cross_validation.py
"""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupKFold, cross_validate

from tsformer import TransformerClassifier
from tsformer.model_selection import read_cases


def recordings(n_persons: int, n_recordings: int, seed: int = 0) -> pd.DataFrame:
    """Draw a long frame of recordings (unique_id, ds, x, y), with the movement and the person of each."""
    rng = np.random.default_rng(seed)
    parts = []
    for number in range(n_persons * n_recordings):
        person = number % n_persons
        movement = ["circle", "wave"][number // n_persons % 2]
        seconds = np.arange(rng.integers(40, 60)) / 20
        turns = 2 * np.pi * seconds * (1 + 0.1 * person)
        second = turns + np.pi / 2 if movement == "circle" else 2 * turns
        moved = pd.DataFrame({"x": np.sin(turns), "y": np.sin(second)}) + 0.3 * rng.normal(size=(len(seconds), 2))
        parts.append(moved.assign(unique_id=f"r{number}", ds=seconds, movement=movement, person=f"person {person}"))
    return pd.concat(parts, ignore_index=True)


def cross_validated(frame: pd.DataFrame, n_splits: int, max_steps: int) -> dict[str, Any]:
    """Score a classifier on the persons of each fold in turn."""
    # scikit-learn splits by rows, and a row of the long frame is no case: give it a list of frames, one for each id.
    X, y, persons = read_cases(frame, label_col="movement", group_col="person")
    scores = cross_validate(
        TransformerClassifier(max_steps=max_steps, random_state=0),
        X,
        y,
        groups=persons,
        cv=GroupKFold(n_splits=n_splits),
        scoring=["accuracy", "neg_log_loss"],
        return_indices=True,
    )
    of_folds = zip(scores["indices"]["train"], scores["indices"]["test"], strict=True)
    return scores | {"persons": [tuple(persons.iloc[rows].unique() for rows in fold) for fold in of_folds]}


def main() -> None:
    """Print the scores of each fold; takes some 20 s on one core."""
    frame = recordings(n_persons=6, n_recordings=8)
    scores = cross_validated(frame, n_splits=3, max_steps=100)
    for (_, tested), accuracy, log_loss in zip(
        scores["persons"], scores["test_accuracy"], -scores["test_neg_log_loss"], strict=True
    ):
        print(f"tested on {', '.join(sorted(tested))}: accuracy {accuracy:.2f}, log loss {log_loss:.2f}")

    # Fitted on the long frame itself, labels are matched by id, and predictions come by id.
    labels = frame.groupby("unique_id")["movement"].first()
    series = frame.drop(columns=["movement", "person"])
    clf = TransformerClassifier(max_steps=100, random_state=0).fit(series, labels)
    predicted = clf.predict_frame(series)["prediction"]
    print(f"on its own training recordings: {(predicted == labels.loc[predicted.index]).mean():.2f}")


if __name__ == "__main__":
    main()
