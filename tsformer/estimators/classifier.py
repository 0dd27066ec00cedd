"""TransformerClassifier: a scikit-learn classifier of multivariate time series."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, NamedTuple, Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.metrics import accuracy_score
from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor, nn

from tsformer.data.augment import standard_augmentation
from tsformer.data.batch import StoredCases
from tsformer.data.cases import Cases, by_id
from tsformer.data.messages import warn_user
from tsformer.estimators import checks
from tsformer.estimators.pretrained import ACCEPTED, load_encoder
from tsformer.layers.attention import record_attention
from tsformer.layers.pooling import POOLINGS
from tsformer.layers.scaling import SCALERS
from tsformer.models.classifier import Augmentation, SeriesClassifier, build_classifier
from tsformer.models.encoders import ENCODERS
from tsformer.models.ensemble import Ensemble
from tsformer.models.frozen import FrozenClassifier
from tsformer.params import (
    ParallelParams,
    TrainingParams,
    TransformerParams,
    constraints_of,
    documents_parameters_of,
    values_of,
)
from tsformer.training import fitting
from tsformer.training.callbacks import CallbackSupportMixin, whole_fit, with_callbacks
from tsformer.training.devices import ready_to_predict, resolve_device, shared_seed, usual_state
from tsformer.training.loop import joined
from tsformer.training.objectives import Consistency, Objective, classification
from tsformer.training.prediction import predict_in_batches
from tsformer.training.ridge import fit_frozen


class Plan(NamedTuple):
    """What networks learn and from which cases, what fits the member beside them, and what else is made at the end."""

    splits: list[fitting.Split]  # which networks take in turn
    beside: Callable[[], FrozenClassifier] | None
    objective: Objective | Consistency
    more: Callable[[Ensemble], dict[str, Any]] = lambda ensemble: {}


@documents_parameters_of(checks.CasesMixin, TransformerParams, TrainingParams, ParallelParams)
@dataclass(kw_only=True, eq=False, repr=False)
class TransformerClassifier(
    checks.CasesMixin,
    TransformerParams,
    TrainingParams,
    ParallelParams,
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    ClassifierMixin,
    TransformerMixin,
    BaseEstimator,
):
    """Classify multivariate time series by attention.

    Networks are trained, a head is fitted to what a pretrained encoder makes of the series, and a geometric mean of
    their probabilities predicts, in which the encoder counts as much as all networks together, and which is the sharper
    the better the head predicts training series that it is not fitted to. Series may differ in length and have missing
    values (NaN); both are masked. They are scaled inside: for the networks channel by channel by statistics of the
    training series, for the pretrained encoder each by its own.

    Parameters
    ----------
    n_estimators : int, default=2
        Networks that are trained, each from its own random weights. 0, beside a pretrained encoder, trains none.
    pretrained : "auto", "bundled", path, fitted TransformerPretrainer or None, default="auto"
        An encoder to whose features of each channel, and how channels vary together, a head is fitted, in seconds; its
        probabilities count as much as those of all networks together. The head is ridge regression, linear or with a
        Gaussian kernel, whichever has the smaller leave-one-out error. Of more than 24 channels it looks at 24, and the
        head is fitted to at most 4,000 cases, and 30,000 channels in all. "auto" is "bundled", which comes with the
        package. A path is that of a file which `tsformer.save` or `scripts/pretrain` wrote.
    scaling : {"auto", "standard", "robust"} or sequence of these, default="auto"
        How a network's series are scaled: "standard" to mean 0 and std 1, "robust" by median and quartiles, with heavy
        tails compressed. "auto" is "robust" for channels whose training values have a kurtosis above 100, as with rare
        bursts, and "standard" for all others. The networks take the entries of a sequence in turn, over and over.
    encoder : str or callable, default="conv_stem"
        A name in `tsformer.models.encoders.ENCODERS`, or a callable that fulfils the contract stated there, such as
        `functools.partial(ConvStemEncoder, kernel_sizes=(5, 11))`.
    pooling : {"mean", "max", "attention"}, default="mean"
        How the tokens of a case become one vector.
    differences : bool, default=True
        Give the encoder the first difference of each channel as further channels.
    augment : "standard", callable or None, default="standard"
        Alters the scaled series (B, T, C) and their mask in training: warps time, varies gains, adds noise, blanks
        windows. A callable takes (x, observed), the differences among the channels, and returns the two.
    label_smoothing : float, default=0.1
        Fraction of each training label spread evenly over all classes.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes in the loss, as in scikit-learn.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels, sorted; the order of the columns of `predict_proba`.
    model_ : torch.nn.Module
        The ensemble: its `networks` are the trained ones, `frozen` is the pretrained encoder with its head, or None.
    history_ : dict of lists
        Network (its place in the ensemble), step, loss, learning rate and seconds at the end of each epoch, and the
        validation loss where there is one: `pandas.DataFrame(clf.history_)`.
    n_iter_ : ndarray of shape (n_estimators,)
        Optimiser steps of each network in the last `fit`, and in each `partial_fit` since.
    n_channels_, n_timepoints_ : int
        Channels and longest length of the training series.
    n_features_in_ : int
        Number of channels, or of time points when fit was given a 2-D array or a table of one row a case.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where fit was given a frame whose column names are all strings; later frames must have the same.
    fitted_on_table_ : bool
        Whether fit was given a row for each case and a column for each time point.

    Notes
    -----
    `max_steps="auto"` stands for 60 epochs, but at least 400 and at most 1,200 steps a network, of series beyond 1,024
    time points fewer in proportion; `batch_size="auto"` for 16, and 64 from 1,000 cases. After Ctrl-C the finished
    networks predict, or the first as far as it came; in a search or a cross-validation Ctrl-C ends them all.

    References
    ----------
    Vaswani et al. (2017), "Attention is all you need".

    Examples
    --------
    >>> from tsformer import TransformerClassifier
    >>> from tsformer.datasets import load_classification
    >>> X, y = load_classification("BasicMotions", split="train")
    >>> clf = TransformerClassifier(max_steps=60, random_state=0).fit(X, y)
    >>> clf.predict_proba(X[:2]).shape
    (2, 4)
    """

    n_estimators: int = 2
    pretrained: Any = "auto"
    scaling: str | Sequence[str] = "auto"
    encoder: str | Callable[..., nn.Module] = "conv_stem"
    pooling: str = "mean"
    differences: bool = True
    augment: Literal["standard"] | Augmentation | None = "standard"
    label_smoothing: float = 0.1
    class_weight: dict[Any, float] | str | None = None

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = constraints_of(
        checks.CasesMixin,
        TransformerParams,
        TrainingParams,
        ParallelParams,
        n_estimators=[Interval(Integral, 0, None, closed="left")],
        pretrained=ACCEPTED,
        scaling=[StrOptions(set(SCALERS)), tuple, list],
        encoder=[StrOptions(set(ENCODERS)), callable],
        pooling=[StrOptions(set(POOLINGS))],
        differences=["boolean"],
        augment=[StrOptions({"standard"}), callable, None],
        label_smoothing=[Interval(Real, 0, 1, closed="left")],
        class_weight=[dict, StrOptions({"balanced"}), None],
    )

    @usual_state()
    @with_callbacks
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
        """Train on labelled series.

        Parameters
        ----------
        X : array-like of shape (n_cases, n_channels, n_timepoints) or (n_cases, n_timepoints), list, or DataFrame
            A 2-D array, or a frame of one row a case, holds one channel. The arrays of a list have shape (n_channels,
            n_timepoints_i), or (n_timepoints_i,) for one channel; their lengths may differ. NaN is a missing value.
            Tensors are taken as arrays. A list may hold frames whose rows are times and whose columns are channels.
            A frame may also be long (columns `id_col` and `time_col`, all others channels), have a (case, time)
            MultiIndex of rows, or hold a Series for each case and channel in its cells.
        y : array-like of shape (n_cases,)
            Labels of at least two classes. Of a long frame, or one under a MultiIndex, a Series indexed by id; an array
            is taken only where the ids ascend.
        sample_weight : array-like of shape (n_cases,), optional
            Weights of the cases in the loss; a case of weight 0 is left out. Matched as y.
        X_val, y_val, sample_weight_val : optional
            Cases for early stopping, instead of a part of X; `class_weight` does not count for them.

        Returns
        -------
        self
        """
        self._validate_params()
        fitted = list(self.model_.networks) if self.warm_start and hasattr(self, "model_") else []
        data, read = self._read_labelled(X, y, sample_weight, from_scratch=not fitted)
        validation = checks.read_validation(self, X_val, y_val, sample_weight_val, read)
        starts, seed = (
            self._starts(fitted, len(read["classes_"])),
            shared_seed(self),
        )
        plan = self._plan(data, read, seed, validation)
        if validation is not None and not self.n_estimators:
            warn_user("X_val has no effect: n_estimators=0 leaves no network that early stopping could stop.")

        def attributes(networks: list[SeriesClassifier], frozen: FrozenClassifier | None) -> dict[str, Any]:
            return read | {"model_": Ensemble([*networks, *fitted[len(networks) :]], frozen)}

        task = whole_fit(self, len(starts) * (1 if plan.splits[0].refit is None else 2), X, y)
        told: dict[str, Any] = {"task": task, "attributes": attributes}
        members, frozen = fitting.fit_to_cases(
            starts, plan.splits, plan.objective, self, seed, beside=plan.beside, **told
        )
        finished = [member for member in members if not member.history.interrupted]
        state = read | self._state(finished or members, fitted, frozen)
        state |= plan.more(state["model_"])
        task.end(lambda: state)
        checks.keep_fitted(self, state)
        return self

    @usual_state()
    def partial_fit(
        self, X: Any, y: ArrayLike, classes: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Train for one pass over the given series, at a constant learning rate; Ctrl-C leaves all as it was.

        The head of a pretrained encoder learns in `fit` alone, from all cases at once: what fit made stays as it is.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`. The first call also sets the scaling of the series. Weights tell the cases of a call apart, not
            those of one call from those of another.
        classes : array-like of shape (n_classes,), optional
            All labels that will ever come; needed in the first call.

        Returns
        -------
        self
        """
        self._validate_params()
        first = not hasattr(self, "model_")
        fitted = [] if first else list(self.model_.networks)
        if not (self.n_estimators if first else fitted):
            raise ValueError("partial_fit trains networks, of which n_estimators=0 leaves none. Use fit.")
        if fitted and len(fitted) != self.n_estimators:
            raise ValueError(
                f"partial_fit trains the networks that there are, {len(fitted)}. Got n_estimators={self.n_estimators}; "
                "set it back, or use fit."
            )
        if first and classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        classes = None if classes is None else checks.plain_labels(classes, "classes")
        if not first and classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            was = f"is not the same as on last call to partial_fit, was: {self.classes_!r}"
            raise ValueError(f"`classes={classes!r}` {was}")
        data, read = self._read_labelled(X, y, sample_weight, from_scratch=first, classes=classes)
        n_iter = np.zeros(self.n_estimators, dtype=np.int64) if first else self.n_iter_
        moments = self._moments or [None] * len(n_iter)
        starts, seed = (
            self._starts(fitted, len(read["classes_"])),
            shared_seed(self) + int(n_iter.sum()),
        )
        members = fitting.pass_over_cases(starts, data, classification(self.label_smoothing), self, seed, moments)
        state = self._state(members, [], None if first else self.model_.frozen)
        state["n_iter_"] += n_iter
        checks.keep_fitted(self, read | state | {"_moments": [member.moments for member in members]})
        return self

    @usual_state()
    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable label of each case, (n_cases,); X is as in `fit`.

        The cases of a long frame come in the order of their first rows: that of `X[id_col].unique()`, or of
        `X.index.unique(0)` under a MultiIndex. So do the rows that the other methods return. `predict_frame` has ids.
        """
        best = self._log_probability(checks.read_like_fit(self, X)).argmax(dim=1)
        return self.classes_[best.numpy()]

    @usual_state()
    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of each class in the order of `classes_`, (n_cases, n_classes); X is as in `fit`."""
        return self._log_probability(checks.read_like_fit(self, X)).exp().numpy()

    @usual_state()
    def predict_frame(self, X: Any) -> pd.DataFrame:
        """Return the label and the probabilities of each case by its id; X is as in `fit`.

        Returns
        -------
        DataFrame of n_cases rows
            "prediction", and "probability_<label>" for each of `classes_`. The index holds the ids of a long frame or
            of one under a MultiIndex, that of a frame with a row for each case, else numbers of cases.
        """
        cases = checks.read_like_fit(self, X)
        probability = self._log_probability(cases).exp().numpy()
        frame = pd.DataFrame(probability, columns=[f"probability_{label}" for label in self.classes_])
        frame.insert(0, "prediction", self.classes_[probability.argmax(axis=1)])
        index = cases.ids if cases.ids is not None else X.index if isinstance(X, pd.DataFrame | pd.Series) else None
        return frame if index is None else frame.set_axis(index)

    @usual_state()
    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Return the log probabilities, (n_cases, n_classes), or of two classes the log odds, (n_cases,)."""
        scores = self._log_probability(checks.read_like_fit(self, X)).numpy()
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    @usual_state()
    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the accuracy; X, y and sample_weight are as in `fit`."""
        cases = checks.read_like_fit(self, X)
        y, sample_weight = checks.check_labels(self, y, cases), by_id(sample_weight, cases, "sample_weight")
        predicted = self.classes_[self._log_probability(cases).argmax(dim=1).numpy()]
        return float(accuracy_score(y, predicted, sample_weight=sample_weight))

    @usual_state()
    def transform(self, X: Any) -> NDArray[np.float64]:
        """Return the embeddings of each case before the heads, network by network; X is as in `fit`.

        Returns
        -------
        ndarray of shape (n_cases, n_estimators * d_model)
            With `pretrained`, further columns: those of `TransformerPretrainer.transform` for the channels looked at,
            of short series resampled to half as many points, and of C > 1 channels C * (2 * C + 1) of how these and
            their slopes vary together.
        """
        cases = checks.read_like_fit(self, X)
        embedded = predict_in_batches(self.model_, Ensemble.embed, cases.data, resolve_device(self.device))
        return checks.with_ids(self, cases, embedded.double().numpy())

    @usual_state()
    def attention_maps(self, X: Any) -> list[list[NDArray[np.float32]]]:
        """Return what each token of each case attends to: `maps[network][layer]`; X is as in `fit`.

        A pretrained encoder is not among the networks: it attends within each channel alone.

        Returns
        -------
        list of lists of ndarray of shape (n_cases, n_heads, n_tokens, n_tokens)
            Row i holds the weights by which token i, which stands for a stretch of time points, takes in the others;
            they sum to 1, and are 0 for tokens that are padding. Where attention is confined to windows, a token of
            padding whose window holds nothing else has a row of zeros. The second half of the layers of
            `encoder="gated_two_tower"` are those over channels.
        """
        data, device = checks.read_like_fit(self, X).data, resolve_device(self.device)
        if not len(self.model_.networks):
            raise ValueError("attention_maps is of trained networks, of which n_estimators=0 has none: set 1 or more.")
        # All cases in one batch, so that all have the same number of tokens.
        batch, maps = data.select(torch.arange(len(data))).to(device), []
        for model in self.model_.networks:
            model = ready_to_predict(model, device)
            with torch.inference_mode(), record_attention(model) as layers:
                model(batch.x, batch.observed)
            maps.append([weights.float().cpu().numpy() for weights in layers])
        return maps

    def _log_probability(self, cases: Cases) -> Tensor:
        return predict_in_batches(self.model_, Ensemble.forward, cases.data, resolve_device(self.device))

    def _plan(self, data: StoredCases, read: dict[str, Any], seed: int, validation: StoredCases | None) -> Plan:
        """Split the cases, and say what is learned from them."""
        split = fitting.split_cases(data, self, seed, validation) if self.n_estimators else fitting.Split(data)
        beside = None if self.pretrained is None else head_fit(self, self.pretrained, data, len(read["classes_"]))
        if beside is None and self.n_estimators == 0:
            raise ValueError("n_estimators=0 leaves no network. Set it to 1 or more, or pretrained='auto'.")
        return Plan([split], beside, classification(self.label_smoothing))

    def _read_labelled(
        self, X: Any, y: Any, sample_weight: Any, *, from_scratch: bool, classes: ArrayLike | None = None
    ) -> tuple[StoredCases, dict[str, Any]]:
        """Read training cases without those of weight 0, and what fitted attributes say of them."""
        cases, read = checks.read_to_fit(self, X, from_scratch=from_scratch)
        known = classes if from_scratch else self.classes_
        data, read["classes_"] = checks.label_cases(self, cases, y, sample_weight, known)
        return data, read | {"n_timepoints_": data.n_timepoints if from_scratch else self.n_timepoints_}

    def _starts(self, fitted: Sequence[SeriesClassifier], n_classes: int) -> list[fitting.Start]:
        """How each network begins, from the training cases: as a copy of a fitted one, or new."""
        if len(fitted) > self.n_estimators:
            raise ValueError(
                f"n_estimators={self.n_estimators} must be larger or equal to the number of networks that there are, "
                f"{len(fitted)}, when warm_start=True."
            )
        names = [self.scaling] if isinstance(self.scaling, str) else list(self.scaling)
        if not names or not set(names) <= set(SCALERS):
            expected = f"one of {sorted(SCALERS)} or a sequence of them. Got {self.scaling!r} instead."
            raise ValueError(f"The 'scaling' parameter of TransformerClassifier must be {expected}")
        augment = standard_augmentation if self.augment == "standard" else self.augment
        if isinstance(augment, nn.Module):
            augment = augment.__call__  # else it would become a part of the network, and of its weights
        copies: list[fitting.Start] = [partial(_copy, model, augment) for model in fitted]
        size = values_of(TransformerParams, self) | {"encoder": self.encoder, "pooling": self.pooling}
        how = size | {"n_classes": n_classes, "differences": self.differences, "augment": augment}
        scalings = (names[i % len(names)] for i in range(len(fitted), self.n_estimators))
        return [*copies, *(partial(_build, scaling=scaling, **how) for scaling in scalings)]

    def _state(
        self, members: list[fitting.Fitted], fitted: list[SeriesClassifier], frozen: FrozenClassifier | None
    ) -> dict[str, Any]:
        """Return the fitted attributes, after those networks of before whose turn did not come."""
        n_iter = [member.history.best_step for member in members]
        n_iter += self.n_iter_[len(members) : len(fitted)].tolist() if fitted else []
        return {
            "model_": Ensemble([*(member.model for member in members), *fitted[len(members) :]], frozen),
            "n_iter_": np.array(n_iter, dtype=np.int64),
            "history_": joined([member.history for member in members]),
            "_moments": None,
        }

    @property
    def _n_features_out(self) -> int:
        return self.model_.n_features


def head_fit(
    classifier: TransformerClassifier, pretrained: Any, data: StoredCases, n_classes: int
) -> Callable[[], FrozenClassifier]:
    """What fits the member with a pretrained encoder to labelled cases."""
    return partial(fit_frozen, load_encoder(chosen(pretrained)), data, n_classes, resolve_device(classifier.device))


def chosen(pretrained: Any) -> Any:
    """Return what a classifier's `pretrained` parameter stands for to `load_encoder`, which knows no "auto"."""
    return "bundled" if isinstance(pretrained, str) and pretrained == "auto" else pretrained


def _copy(model: SeriesClassifier, augment: Any, data: StoredCases) -> SeriesClassifier:
    """Go on from a fitted network, with the augmentation that the parameter says now."""
    network = copy.deepcopy(model)
    network.augment = augment
    return network


def _build(data: StoredCases, **how: Any) -> SeriesClassifier:
    return build_classifier(data.chunks, data.n_channels, data.n_timepoints, **how)
