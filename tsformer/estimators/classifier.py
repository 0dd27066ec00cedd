"""TransformerClassifier: a scikit-learn classifier of multivariate time series."""

import functools
import itertools
import os
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, clone
from sklearn.utils import Tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from tsformer.data.arrays import to_batch
from tsformer.data.augment import standard_augmentation
from tsformer.data.batch import Batch
from tsformer.estimators._cases import (
    check_classes,
    check_held_out,
    check_labels,
    check_panel,
    in_order_of_cases,
    label,
    weigh,
    with_ids,
)
from tsformer.estimators._fitting import (
    LOG,
    draw_seed,
    draw_seeds,
    hold_out,
    log_end,
    portable,
    predict_in_batches,
    ready_to_predict,
    resolve_device,
    to_cpu,
)
from tsformer.estimators._networks import (
    Run,
    Start,
    batch_size,
    budget,
    check_scaling,
    go_on_from,
    run_in_turn,
    run_once,
)
from tsformer.estimators._pretrained import fit_pretrained
from tsformer.layers.attention import record_attention
from tsformer.layers.pooling import POOLINGS
from tsformer.layers.scaling import SCALERS
from tsformer.models.classifier import Augmentation, SeriesClassifier, build_classifier
from tsformer.models.encoders import ENCODERS
from tsformer.models.frozen import PretrainedClassifier
from tsformer.params import TrainingParams, TransformerParams, constraints_of, documents_parameters_of
from tsformer.training.callbacks import CallbackSupportMixin, whole_fit, with_callbacks
from tsformer.training.loop import joined
from tsformer.training.objectives import Objective, classification

Member = SeriesClassifier | PretrainedClassifier  # of the ensemble
FINE_TUNING = 0.03  # of the learning rate
# Of the training cases; with more, the head takes minutes and gigabytes, and is needed less.
MAX_CASES, MAX_CHANNELS = 3_000, 10_000


@documents_parameters_of(TransformerParams, TrainingParams)
@dataclass(kw_only=True, eq=False, repr=False)
class TransformerClassifier(
    TransformerParams,
    TrainingParams,
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    ClassifierMixin,
    TransformerMixin,
    BaseEstimator,
):
    """Classify multivariate time series by attention.

    Networks are trained, a head is fitted to what a pretrained encoder makes of the series, and the geometric mean of
    their probabilities predicts. Series may differ in length and have missing values (NaN); both are masked.
    They are scaled inside: for the networks channel by channel by statistics of the training series, for the pretrained
    encoder each by its own.

    Parameters
    ----------
    n_estimators : int, default=2
        Networks that are trained, each from its own random weights. 0, beside a pretrained encoder, trains none.
    pretrained : "bundled", path, fitted TransformerPretrainer or None, default="bundled"
        An encoder to whose features of each channel a head is fitted, in seconds: one more network whose probabilities
        count. The head is ridge regression, linear or with a Gaussian kernel, whichever has the smaller leave-one-out
        error. "bundled" comes with the package. A path is that of a file which `tsformer.save` or
        `scripts/pretrain` wrote.
    fine_tune : bool, default=False
        Train the pretrained encoder and a linear head on, at 3 % of the learning rate; slow. A warm start begins it
        anew.
    scaling : {"standard", "robust"} or sequence of these, default="standard"
        How a network's series are scaled: "standard" to mean 0 and deviation 1, "robust" by median and quartiles, with
        heavy tails compressed. The networks take the entries of a sequence in turn, over and over.
    encoder : str or callable, default="conv_stem"
        A name in `tsformer.models.encoders.ENCODERS`, or a callable that fulfils the contract stated there, such as
        `functools.partial(ConvStemEncoder, kernel_sizes=(5, 11))`.
    pooling : {"mean", "max", "attention"}, default="mean"
        How the tokens of a case become one vector.
    differences : bool, default=True
        Give the encoder the first difference of each channel as further channels.
    augment : "standard", callable or None, default="standard"
        Alters the scaled series (B, T, C) and their mask in training: warps time, varies gains, adds noise, blanks
        windows. A callable takes (x, observed), the differences among the channels, and returns the two; in
        fine-tuning x holds single channels, without differences.
    augment_until : float in [0, 1], default=1.0
        Share of the steps in which series are altered; in the last ones the networks see them as they are.
    label_smoothing : float, default=0.1
        Share of each training label spread evenly over all classes.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes in the loss, as in scikit-learn.
    id_col : str, int or tuple, default="unique_id"
        Column of a long frame that tells its cases apart.
    time_col : str, int or tuple, default="ds"
        Column of a long frame that orders the rows of a case; how far apart they are does not matter.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels, sorted; the order of the columns of `predict_proba`.
    models_ : list of torch.nn.Module
        The trained networks, then the pretrained one.
    history_ : dict of lists
        Network (its place in `models_`), step, loss, learning rate and seconds at the end of each epoch, and the
        validation loss where there is one: `pandas.DataFrame(clf.history_)`.
    n_iter_ : ndarray of shape (n_estimators,), or one longer with `fine_tune`
        Optimiser steps behind the weights of each network.
    n_channels_, n_timepoints_ : int
        Channels and longest length of the training series.
    n_features_in_ : int
        Number of channels, or of time points when fit was given a 2-D array.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the channels, or of the columns of a table of one row a case, when fit was given a DataFrame whose
        column names are all strings. Frames given later must have the same, in the same order.

    Notes
    -----
    `max_steps="auto"` stands for 60 epochs, but at least 400 and at most 1,200 steps a network, of series beyond 1,024
    time points fewer in proportion; `batch_size="auto"` for 16, and 64 from 1,000 cases. After Ctrl-C the finished
    networks predict, or the first as far as it came.

    Beside other networks the bundled encoder is left out where there are more than 3,000 training cases, or 10,000
    channels in all (cases times channels).

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
    pretrained: Any = "bundled"
    fine_tune: bool = False
    scaling: str | Sequence[str] = "standard"
    encoder: str | Callable[..., nn.Module] = "conv_stem"
    pooling: str = "mean"
    differences: bool = True
    augment: Literal["standard"] | Augmentation | None = "standard"
    augment_until: float = 1.0
    label_smoothing: float = 0.1
    class_weight: dict[Any, float] | str | None = None
    id_col: Hashable = "unique_id"
    time_col: Hashable = "ds"

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = constraints_of(
        TransformerParams,
        TrainingParams,
        n_estimators=[Interval(Integral, 0, None, closed="left")],
        pretrained=[str, os.PathLike, HasMethods("transform"), None],
        fine_tune=["boolean"],
        scaling=[StrOptions(set(SCALERS)), tuple, list],
        encoder=[StrOptions(set(ENCODERS)), callable],
        pooling=[StrOptions(set(POOLINGS))],
        differences=["boolean"],
        augment=[StrOptions({"standard"}), callable, None],
        augment_until=[Interval(Real, 0, 1, closed="both")],
        label_smoothing=[Interval(Real, 0, 1, closed="left")],
        class_weight=[dict, StrOptions({"balanced"}), None],
        id_col=[str, Integral, tuple],
        time_col=[str, Integral, tuple],
    )

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
    ) -> "TransformerClassifier":
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
            Cases for early stopping, instead of a part of X.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For wrong parameters or data; the message says what was expected, what came, and the way out.
        """
        self._validate_params()
        device = resolve_device(self.device)
        fitted = self._networks or None if self.warm_start and hasattr(self, "models_") else None
        data = self._read_labelled(X, y, sample_weight, classes=None, reset=fitted is None)
        held_out = check_held_out(self, X_val, y_val, sample_weight_val, self.classes_)
        seed = draw_seed(self.random_state)
        training, frozen = data, self._fit_pretrained(data, device)
        starts: list[tuple[Start, int, TrainingParams]] = [(*start, self) for start in self._starts(fitted, seed)]
        if frozen and self.fine_tune:
            gently = clone(self).set_params(learning_rate=FINE_TUNING * self.learning_rate)
            starts.append((functools.partial(self._begin_fine_tuning, device), seed, gently))
        if starts and self.early_stopping and held_out is None:
            training, held_out = hold_out(data, self.validation_fraction, seed)
        whole = data if self.refit and training is not data else None
        LOG.info(
            "%s: %d cases of %d channels, up to %d time points and %d classes; networks: %d, on %s, each for at most "
            "%d steps of up to %d cases.",
            *(type(self).__name__, len(training), self.n_channels_, self.n_timepoints_, len(self.classes_)),
            *(len(starts), device, budget(self, len(training), training.x.shape[1]), batch_size(self, len(training))),
        )
        task = whole_fit(self, len(starts) * (1 if whole is None else 2), X, y)
        runs = run_in_turn(
            starts,
            training,
            held_out,
            whole,
            self._objective(),
            augment_until=self.augment_until,
            device=device,
            task=task,
            ensemble=functools.partial(ensemble, fitted=fitted, frozen=frozen),
        )
        self._keep([run for run in runs if not run.history.interrupted] or runs, fitted, frozen)
        task.end()
        log_end(self, [run.history for run in runs])
        return self

    def partial_fit(
        self, X: Any, y: ArrayLike, classes: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> "TransformerClassifier":
        """Train for one pass over the given series, at a constant learning rate.

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
        device = resolve_device(self.device)
        first = not hasattr(self, "models_")
        fitted = None if first else self._networks
        frozen = [] if first else self.models_[len(self._networks) :]
        if not (self.n_estimators if first else fitted):
            raise ValueError("partial_fit trains networks, of which n_estimators=0 leaves none. Use fit.")
        if first and classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        if not first and classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise ValueError(
                f"`classes={classes!r}` is not the same as on last call to partial_fit, was: {self.classes_!r}"
            )
        if fitted and len(fitted) != self.n_estimators:
            raise ValueError(
                f"partial_fit trains the networks that there are, {len(fitted)}. Got n_estimators={self.n_estimators}; "
                "set it back, or use fit."
            )
        data = self._read_labelled(X, y, sample_weight, classes=classes, reset=first)

        n_iter = np.zeros(self.n_estimators, dtype=np.int64) if first else self.n_iter_
        moments: list[dict[str, Any]] | None = None if first else self._moments
        starts = self._starts(fitted, draw_seed(self.random_state) + int(n_iter.sum()))
        runs = [
            run_once(
                start,
                data,
                self._objective(),
                self,
                seed=seed,
                device=device,
                moments=moments[member] if moments else None,
            )
            for member, (start, seed) in enumerate(starts)
        ]
        self._keep(runs, fitted, frozen)
        # Behind those of the networks: the steps of a pretrained encoder that fit has fine-tuned.
        self.n_iter_: NDArray[np.int64] = np.append(n_iter[: len(runs)] + self.n_iter_, n_iter[len(runs) :])
        self._moments: list[dict[str, Any]] | None = [to_cpu(run.optimizer.state_dict()["state"]) for run in runs]
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable label of each case, (n_cases,); X is as in `fit`.

        The cases of a long frame come in the order of their first rows: that of `X[id_col].unique()`, or of
        `X.index.unique(0)` under a MultiIndex. So do the rows that the other methods return.
        """
        best = self._log_probability(self._read(X)).argmax(dim=1)
        return self.classes_[best.numpy()]

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of each class in the order of `classes_`, (n_cases, n_classes); X is as in `fit`."""
        return self._log_probability(self._read(X)).exp().numpy()

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Return the logarithms of the probabilities, (n_cases, n_classes), or of two classes the log odds, (n_cases,).

        X is as in `fit`.
        """
        scores = self._log_probability(self._read(X)).numpy()
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the share of the cases that are labelled rightly; X, y and sample_weight are as in `fit`."""
        y, sample_weight = (
            in_order_of_cases(self, X, values, name)
            for name, values in {"y": y, "sample_weight": sample_weight}.items()
        )
        return super().score(X, y, sample_weight)

    def transform(self, X: Any) -> NDArray[np.float64]:
        """Return the embeddings of each case before the heads, network by network; X is as in `fit`.

        Returns
        -------
        ndarray of shape (n_cases, n_estimators * d_model)
            With `pretrained`, further columns: those of `TransformerPretrainer.transform`.
        """
        return with_ids(self, X, torch.cat(self._apply("embed", self._read(X)), dim=1).numpy())

    def attention_maps(self, X: Any) -> list[list[NDArray[np.float32]]]:
        """Return what each token of each case attends to: `maps[network][layer]`; X is as in `fit`.

        A pretrained encoder is not among the networks: it looks at each channel alone.

        Returns
        -------
        list of lists of ndarray of shape (n_cases, n_heads, n_tokens, n_tokens)
            A list for each network, in it an array for each layer. Row i holds the weights by which token i takes in
            the others; they sum to 1. A token stands for a stretch of time points, in order; tokens that are padding
            have weight 0. Where attention is confined to windows, a token of padding whose window holds nothing else
            has a row of zeros. The second half of the layers of `encoder="gated_two_tower"` are those over channels.
        """
        data = self._read(X)
        if not self._networks:
            raise ValueError("attention_maps is of trained networks, of which n_estimators=0 has none: set 1 or more.")
        device = resolve_device(self.device)
        maps = []
        for model in self._networks:
            ready_to_predict(model, device)
            # All cases in one batch, so that all have the same number of tokens.
            with torch.inference_mode(), record_attention(model) as layers:
                model(data.x.to(device), data.observed.to(device))
            maps.append([weights.float().cpu().numpy() for weights in layers])
        return maps

    def _log_probability(self, data: Batch) -> Tensor:
        """The mean of the networks' log probabilities, made probabilities again, (n_cases, n_classes)."""
        each = torch.stack([logits.log_softmax(dim=1) for logits in self._apply("forward", data)])
        return each.mean(dim=0).log_softmax(dim=1)

    def _apply(self, method: str, data: Batch) -> list[Tensor]:
        """What a method of each network returns for the cases."""
        device = resolve_device(self.device)
        return [predict_in_batches(m, getattr(type(m), method), data, device).double() for m in self.models_]

    @property
    def _networks(self) -> list[SeriesClassifier]:
        """The trained networks."""
        return [model for model in self.models_ if isinstance(model, SeriesClassifier)]

    def _fit_pretrained(self, data: Batch, device: torch.device) -> list[PretrainedClassifier]:
        """The member with the pretrained encoder, if there is to be one."""
        if self.pretrained is None and self.n_estimators == 0:
            raise ValueError("n_estimators=0 leaves no network. Set it to 1 or more, or pretrained='bundled'.")
        if self.pretrained is None:
            return []
        n_channels = len(data) * data.x.shape[2]
        is_default = self.pretrained == "bundled" and self.n_estimators > 0
        if is_default and (len(data) > MAX_CASES or n_channels > MAX_CHANNELS):
            LOG.info(
                "%s: the pretrained encoder is left out, since there are more than %d cases or %d channels in all: %d, "
                "%d. With n_estimators=0 it is not, nor is one that you give.",
                *(type(self).__name__, MAX_CASES, MAX_CHANNELS, len(data), n_channels),
            )
            return []
        return [fit_pretrained(self.pretrained, data, len(self.classes_), device)]

    def _begin_fine_tuning(self, device: torch.device, data: Batch) -> PretrainedClassifier:
        """The pretrained encoder with a head fitted to the training cases alone: early stopping measures others."""
        model = fit_pretrained(self.pretrained, data, len(self.classes_), device, to_train_on=True)
        model.augment = self._augmentation
        return model

    def _read(self, X: Any) -> Batch:
        check_is_fitted(self, "models_")
        return to_batch(check_panel(self, X, "X", reset=False))

    def _read_labelled(
        self, X: Any, y: Any, sample_weight: ArrayLike | None, *, classes: ArrayLike | None, reset: bool
    ) -> Batch:
        """Check training cases, take the classes from `classes` or y when `reset`, and leave out weights of 0."""
        panel = check_panel(self, X, "X", reset=reset)
        y = check_labels(self, in_order_of_cases(self, X, y, "y"), panel)
        sample_weight = in_order_of_cases(self, X, sample_weight, "sample_weight")
        if reset:
            self.classes_ = check_classes(y if classes is None else classes)
        data = label(panel, y, weigh(sample_weight, self.class_weight, y), self.classes_, "y")
        if reset:
            self.n_timepoints_ = data.x.shape[1]
        return data

    def _starts(self, fitted: list[SeriesClassifier] | None, seed: int) -> Iterator[tuple[Start, int]]:
        """How each network begins, from the training cases, and its seed: new, or as a copy of a fitted one."""
        starts: list[Start] = [functools.partial(go_on_from, model) for model in fitted or []]
        if len(starts) > self.n_estimators:
            raise ValueError(
                f"n_estimators={self.n_estimators} must be larger or equal to the number of networks that there are, "
                f"{len(starts)}, when warm_start=True."
            )
        scalings = itertools.islice(itertools.cycle(check_scaling(self.scaling)), len(starts), self.n_estimators)
        starts += [functools.partial(self._build, scaling) for scaling in scalings]
        return zip(starts, draw_seeds(seed, len(starts)), strict=True)

    def _build(self, scaling: str, data: Batch) -> SeriesClassifier:
        return build_classifier(
            data.x,
            data.observed,
            len(self.classes_),
            scaling=scaling,
            augment=self._augmentation,
            differences=self.differences,
            encoder=self.encoder,
            pooling=self.pooling,
            d_model=self.d_model,
            n_heads=self.n_heads,
            n_layers=self.n_layers,
            d_ff=self.d_ff,
            dropout=self.dropout,
        )

    @property
    def _augmentation(self) -> Augmentation | None:
        if isinstance(self.augment, nn.Module):
            return self.augment.__call__  # else it would become a part of the network, and of its weights
        return standard_augmentation if self.augment == "standard" else self.augment

    def _objective(self) -> Objective:
        return classification(self.label_smoothing)

    def _keep(self, runs: list[Run], fitted: list[SeriesClassifier] | None, frozen: Sequence[Member]) -> None:
        """Make the networks the estimator's."""
        n_iter = [run.history.best_step for run in runs]
        if fitted:
            n_iter += self.n_iter_[len(runs) : len(fitted)].tolist()
        self.models_: list[Member] = ensemble([run.model for run in runs], fitted, frozen)
        self.n_iter_ = np.array(n_iter, dtype=np.int64)
        self.history_ = joined([run.history for run in runs])
        self._moments = None  # of the optimisers, for partial_fit

    @property
    def _n_features_out(self) -> int:
        return sum(model.head.in_features for model in self.models_)

    def __getstate__(self) -> dict[str, Any]:
        return portable(super().__getstate__())

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        return tags


def ensemble(trained: list[Member], fitted: list[SeriesClassifier] | None, frozen: Sequence[Member]) -> list[Member]:
    """What predicts: networks trained now, those fitted before whose turn did not come, the frozen one if not tuned."""
    untouched = fitted[len(trained) :] if fitted else []
    tuned = any(isinstance(model, PretrainedClassifier) for model in trained)
    return [*trained, *untouched, *([] if tuned else frozen)]
