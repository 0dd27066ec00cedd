"""SemiSupervisedTransformerClassifier: learns from series of which only some have a label."""

import reprlib
from dataclasses import dataclass, replace
from functools import partial
from numbers import Real
from typing import Any, ClassVar, NoReturn, Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import compute_sample_weight
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight

from tsformer.data.batch import UNLABELLED, StoredCases, labelled
from tsformer.data.cases import Cases, by_id, stored
from tsformer.data.messages import warn_user
from tsformer.estimators import checks
from tsformer.estimators.classifier import Plan, TransformerClassifier, chosen, head_fit
from tsformer.estimators.pretrained import load_encoder
from tsformer.estimators.pretrainer import TransformerPretrainer
from tsformer.models.ensemble import Ensemble
from tsformer.params import constraints_of, documents_parameters_of
from tsformer.training.devices import resolve_device, usual_state
from tsformer.training.fitting import Split
from tsformer.training.objectives import CONSISTENCIES, Consistency
from tsformer.training.prediction import predict_in_batches
from tsformer.training.unlabelled import LABELLERS, looked_at, with_labels

PRETRAINING = 100  # steps from pretrained weights, and four times as many from new ones


@documents_parameters_of(TransformerClassifier)
@dataclass(kw_only=True, eq=False, repr=False)
class SemiSupervisedTransformerClassifier(TransformerClassifier):
    """Classify multivariate time series, of which only some have a label in training.

    A `TransformerClassifier` that learns from the unlabelled cases too. Where all cases have a label, it is one.

    Parameters
    ----------
    method : str, default="self_training"
        What the unlabelled cases are for. "self_training": a head on the features of the pretrained encoder labels
        those it is surest of, each class up to its quota, learns from them and labels the rest; the head and the first
        of every two networks then learn from all, the second from the given labels. "label_spreading": the same with
        labels that come from nearest neighbours among these features, and count as much as they are certain. "pi": the
        networks are to tell two views of a case alike. "mean_teacher": they are to agree with the average of their
        weights. "pseudo_label": they learn what that average is sure of. "pretrain": the encoder goes on from
        `pretrained` with all series, then a head is fitted to those that have a label.
    unlabelled : int, float, str or None, default=-1
        What marks a case without a label in y. None and NaN mark missing labels of every kind.
    consistency_weight : float, default=1.0
        Of "pi", "mean_teacher" and "pseudo_label": weight of the agreement in the loss, to which it rises.

    Attributes
    ----------
    transduction_ : ndarray of shape (n_cases,)
        Labels of all training cases: those given, and what is predicted for the others.
    label_fraction_ : float
        Fraction of the training cases that had a label.
    classes_ : ndarray of shape (n_classes,)
        Labels, sorted; the order of the columns of `predict_proba`.
    model_, history_, n_iter_, n_channels_, n_timepoints_, n_features_in_, feature_names_in_, fitted_on_table_
        As of `TransformerClassifier`.

    Notes
    -----
    Quotas are in proportion to the labelled cases: label as many of each class as in the proportions that the
    unlabelled have. Early stopping holds back labelled cases only. A case of a class without any label gets one of the
    others.

    References
    ----------
    Zhou et al. (2004), "Learning with local and global consistency"; Lee (2013), "Pseudo-label"; Laine and Aila (2017),
    "Temporal ensembling for semi-supervised learning"; Tarvainen and Valpola (2017), "Mean teachers are better role
    models". Oliver et al. (2018), "Realistic evaluation of deep semi-supervised learning algorithms".

    Examples
    --------
    >>> import numpy as np
    >>> from tsformer import SemiSupervisedTransformerClassifier
    >>> from tsformer.datasets import load_classification
    >>> X, y = load_classification("BasicMotions", split="train")
    >>> y[np.arange(len(y)) % 10 > 1] = None  # two of ten are left
    >>> clf = SemiSupervisedTransformerClassifier(unlabelled=None, n_estimators=0).fit(X, y)
    >>> clf.label_fraction_
    0.2
    """

    method: str = "self_training"
    unlabelled: float | str | None = -1
    consistency_weight: float = 1.0

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = constraints_of(
        TransformerClassifier,
        method=[StrOptions({*LABELLERS, *CONSISTENCIES, "pretrain"})],
        unlabelled=[Real, str, None],
        consistency_weight=[Interval(Real, 0, None, closed="left")],
    )

    @usual_state()
    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: Any = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self:
        """Train on series of which some have a label.

        Parameters
        ----------
        X : array-like of shape (n_cases, n_channels, n_timepoints) or (n_cases, n_timepoints), list, or DataFrame
            All forms that `TransformerClassifier.fit` takes.
        y : array-like of shape (n_cases,)
            Labels of at least two classes, and `unlabelled` where there is none. Of a long frame a Series indexed by
            id; ids that it lacks have no label.
        sample_weight : array-like of shape (n_cases,), optional
            Weights of the cases in the loss; a case of weight 0 is left out. Matched as y.
        X_val, y_val, sample_weight_val : optional
            Labelled cases for early stopping, instead of a part of X.

        Returns
        -------
        self
        """
        return super().fit(X, y, sample_weight, X_val=X_val, y_val=y_val, sample_weight_val=sample_weight_val)

    @usual_state()
    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the accuracy; X, y and sample_weight are as in `fit`, but each case has a label."""
        cases = checks.read_like_fit(self, X)
        if y is not None:
            _, has_label = _labels_and_marks(y, self.unlabelled, cases)
            if not has_label.all():
                raise ValueError(
                    f"{np.sum(~has_label)} of {len(has_label)} cases have no label, but unlabelled={self.unlabelled!r} "
                    "in y, which no prediction is equal to. Leave them out of X and y. A search does with "
                    f"cv=tsformer.model_selection.LabelledSplit(unlabelled={self.unlabelled!r})."
                )
        return super().score(cases, y, sample_weight)

    @property
    def partial_fit(self) -> NoReturn:
        """Not there: unlabelled cases are learned from beside all labelled ones."""
        raise AttributeError(f"{type(self).__name__} has no partial_fit. Use fit, or a TransformerClassifier.")

    def _read_labelled(
        self, X: Any, y: Any, sample_weight: Any, *, from_scratch: bool, classes: ArrayLike | None = None
    ) -> tuple[StoredCases, dict[str, Any]]:
        """Read training cases, labelled or not; until the others are predicted, `transduction_` holds class numbers."""
        cases, read = checks.read_to_fit(self, X, from_scratch=from_scratch)
        y, has_label = self._read_marked(y, cases)
        weight = _check_sample_weight(by_id(sample_weight, cases, "sample_weight"), y, dtype=np.float64)
        checks.check_not_negative(weight, "sample_weight")
        known = np.flatnonzero(has_label)
        given = checks.plain_labels(y[known], "y")
        some = cases.data if has_label.all() else cases.data.subset(known)
        data, classes = checks.label_cases(
            self, Cases(some, cases.is_table), given, weight[known], None if from_scratch else self.classes_
        )
        numbers = np.full(len(cases), UNLABELLED)
        numbers[known] = np.searchsorted(classes, given)
        if not has_label.all():
            data = _with_others(data, cases.data, weight, numbers)
        read |= {
            "classes_": classes,
            "transduction_": numbers,
            "label_fraction_": float(labelled(data).double().mean()),
        }
        return data, read | {"n_timepoints_": data.n_timepoints if from_scratch else self.n_timepoints_}

    def _read_marked(self, y: Any, cases: Cases) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Return labels in the order of the cases, and which of them are none of `unlabelled`."""
        if y is None:
            checks.check_labels(self, y, cases)
        mark = self.unlabelled
        y, has_label = _labels_and_marks(_of_all_ids(y, cases, mark), mark, cases)
        if len(y) != len(cases):
            raise ValueError(
                f"Found input variables with inconsistent numbers of samples: [{len(cases)}, {len(y)}]. y must hold a "
                f"label for each case, or unlabelled={mark!r} where there is none."
            )
        classes = pd.unique(y[has_label])
        if not len(classes):
            raise ValueError(
                f"y holds no label, only unlabelled={mark!r}. Label some cases of each class; a TransformerPretrainer "
                "learns from series without labels."
            )
        if len(classes) == 1:
            raise ValueError(
                f"The number of classes has to be greater than one; got 1 class, {classes.tolist()[0]!r}, and "
                f"{np.sum(~has_label)} cases without a label. Label cases of at least two classes; if {mark!r} is one "
                "of them, set unlabelled to another mark."
            )
        if isinstance(mark, Real) and str(mark) in classes.tolist():
            raise ValueError(
                f"y holds the text {str(mark)!r}, but the mark of cases without a label is the number "
                f"unlabelled={mark!r}. Set unlabelled={str(mark)!r}, or, where {str(mark)!r} is a class, another mark."
            )
        if has_label.all():
            warn_user(
                f"y contains no unlabelled case, which unlabelled={mark!r} marks: all cases have a label, one of the "
                f"classes {reprlib.repr(sorted(classes.tolist()))}."
            )
        return y, has_label

    def _plan(self, data: StoredCases, read: dict[str, Any], seed: int, validation: StoredCases | None) -> Plan:
        has_label, numbers = labelled(data).numpy(), read.pop("transduction_")
        device = resolve_device(self.device)
        if has_label.all():
            plan = super()._plan(data, read, seed, validation)
        else:
            self._check_method()
            plan = super()._plan(data.subset(np.flatnonzero(has_label)), read, seed, validation)
            plan = self._learnt_beyond_labels(plan, data, read["classes_"], validation)
        return plan._replace(more=partial(_transduced, data, numbers, read["classes_"], device))

    def _check_method(self) -> None:
        """Raise a ValueError where other parameters leave a method nothing to work with."""
        method = f"method={self.method!r}"
        if self.method in LABELLERS and self.pretrained is None:
            raise ValueError(
                f"{method} labels cases by the features of a pretrained encoder, of which pretrained=None leaves none. "
                "Set pretrained='auto', or method='mean_teacher'."
            )
        if self.method == "pretrain" or self.method in LABELLERS:
            return
        if self.n_estimators == 0:
            raise ValueError(f"{method} trains networks, of which n_estimators=0 leaves none. Set it to 1 or more.")
        if self.method != "pi" and self.average_decay is None:
            raise ValueError(f"{method} learns from the average of the weights. Set average_decay, such as to 0.99.")
        if self.method == "pi" and self.augment is None and self.dropout == 0:
            raise ValueError(f"{method} compares two views of a case. Set augment='standard', or dropout above 0.")

    def _learnt_beyond_labels(
        self, plan: Plan, data: StoredCases, classes: NDArray[Any], validation: StoredCases | None
    ) -> Plan:
        """Let a plan for the labelled cases alone have use for the others."""
        given = data.subset(np.flatnonzero(labelled(data)))
        if self.method == "pretrain":
            return plan._replace(beside=head_fit(self, self._pretrained_on(data), given, len(classes)))
        training, split = data, plan.splits[0]
        if validation is None and split.validation is not None:
            training = data.subset(np.flatnonzero(~np.isin(data.rows, split.validation.rows)))
        if self.method in CONSISTENCIES:
            objective = Consistency(self.method, self.label_smoothing, self.consistency_weight)
            split = Split(training, split.validation, split.refit and data)
            return plan._replace(splits=[split], objective=objective)
        label, device = LABELLERS[self.method], resolve_device(self.device)
        self._warn_of_cap(data)
        weight = _weight_of_guesses(self.class_weight, given, classes)
        fill = partial(with_labels, label, class_weight=weight, device=device)
        whole = fill(load_encoder(chosen(self.pretrained)), data)
        training = whole if training is data else fill(load_encoder(chosen(self.pretrained)), training)
        # Every second network learns from the given labels alone, so that wrong ones do not decide.
        splits = [Split(training, split.validation, split.refit and whole), split]
        return plan._replace(splits=splits, beside=head_fit(self, self.pretrained, whole, len(classes)))

    def _warn_of_cap(self, data: StoredCases) -> None:
        seen = data.subset(looked_at(data))
        n, of = (int((~labelled(each)).sum()) for each in (seen, data))
        if n < of:
            warn_user(
                f"method={self.method!r} labels {n} of the {of} unlabelled cases, evenly spread, and learns from them: "
                "it holds the features of all that it labels at a time. method='mean_teacher' learns from all."
            )

    def _pretrained_on(self, data: StoredCases) -> TransformerPretrainer:
        """Train the encoder on all series, whether they have labels or not."""
        start: dict[str, Any] = {"max_steps": 4 * PRETRAINING}
        if self.pretrained is not None:
            objective = load_encoder(chosen(self.pretrained)).settings["objective"]
            start = {"pretrained": chosen(self.pretrained), "objective": objective, "max_steps": PRETRAINING}
        names = ("precision", "device", "random_state", "verbose")
        pretrainer = TransformerPretrainer(**start, **{name: getattr(self, name) for name in names})
        return pretrainer.fit([data.series[row] for row in data.rows])


def _of_all_ids(y: Any, cases: Cases, mark: Any) -> Any:
    """Give the ids that a Series of labels lacks the mark."""
    if cases.ids is None or not isinstance(y, pd.Series) or y.index.has_duplicates:
        return y
    absent = cases.ids[~cases.ids.isin(y.index)]
    return pd.concat([y.astype(object), pd.Series(mark, absent, object)]) if len(absent) else y


def _labels_and_marks(y: Any, mark: Any, cases: Cases) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Read labels in the order of the cases, and which of them are not the mark.

    Among objects marks become None: they may be of another type than the labels, as -1 among text.
    """
    if not isinstance(y, pd.Series | np.ndarray) or y.ndim != 1 or not pd.api.types.is_object_dtype(y.dtype):
        y = checks.read_labels(y, cases, "y")
        return y, checks.has_label(y, mark)
    without: Any = np.array(y, dtype=object)
    without[~checks.has_label(without, mark)] = None
    y = checks.read_labels(pd.Series(without, y.index) if isinstance(y, pd.Series) else without, cases, "y")
    return y, checks.has_label(y, None)


def _with_others(
    some: StoredCases, cases: StoredCases, weight: NDArray[np.float64], numbers: NDArray[np.int64]
) -> StoredCases:
    """Put the cases that have no label, but for those of weight 0, beside `some` with labels."""
    assert some.weight is not None  # for the type checker: cases with labels have weights
    relative = weight / weight[some.rows].mean()
    relative[some.rows] = some.weight.numpy()
    used = (numbers == UNLABELLED) & (weight > 0)
    used[some.rows] = True
    data = replace(cases, y=torch.from_numpy(numbers.copy()), weight=torch.from_numpy(relative).float())
    return data.subset(np.flatnonzero(used))


def _weight_of_guesses(class_weight: Any, given: StoredCases, classes: NDArray[Any]) -> NDArray[np.float64]:
    """Return what a guess counts for by its class (K,), beside labels `given` whose weights have it and mean 1."""
    assert given.y is not None  # for the type checker, as is the next line: they have labels
    assert given.weight is not None
    y = given.y.numpy()
    of_case = compute_sample_weight(class_weight, classes[y])
    weight = np.zeros(len(classes))
    weight[y] = of_case
    return weight * float(np.mean(given.weight.numpy() / of_case))


def _transduced(
    data: StoredCases, numbers: NDArray[np.int64], classes: NDArray[Any], device: torch.device, ensemble: Ensemble
) -> dict[str, Any]:
    """Return the labels of all cases of fit: those given, and for the others what is predicted."""
    others = np.flatnonzero(numbers == UNLABELLED)
    if len(others):
        cases = stored(data.series, "X").subset(others)
        numbers[others] = predict_in_batches(ensemble, Ensemble.forward, cases, device).argmax(dim=1).numpy()
    return {"transduction_": classes[numbers]}
