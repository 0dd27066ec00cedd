"""TransformerClassifier: a scikit-learn classifier of multivariate time series."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags, assert_all_finite, check_consistent_length, column_or_1d, compute_sample_weight
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor, nn

from tsformer.data.arrays import Panel, check_n_channels, check_series, n_channels, to_batch
from tsformer.data.augment import standard_augmentation
from tsformer.data.batch import Batch, Minibatches
from tsformer.estimators._fitting import (
    check_case_weights,
    check_not_negative,
    draw_seed,
    hold_out,
    portable,
    predict_in_batches,
    ready_to_predict,
    ready_to_train,
    resolve_device,
    seeded,
    to_cpu,
)
from tsformer.layers.attention import record_attention
from tsformer.layers.blocks import initialise_weights
from tsformer.layers.pooling import POOLINGS
from tsformer.layers.scaling import ChannelScaler, FirstDifferences
from tsformer.models.classifier import Augmentation, SeriesClassifier
from tsformer.models.encoders import ENCODERS
from tsformer.params import TrainingParams, TransformerParams, constraints_of, documents_parameters_of
from tsformer.training import objectives
from tsformer.training.loop import EarlyStopping, History, train
from tsformer.training.optim import SCHEDULES, Schedule, adamw, constant


@documents_parameters_of(TransformerParams, TrainingParams)
@dataclass(kw_only=True, eq=False, repr=False)
class TransformerClassifier(
    TransformerParams,
    TrainingParams,
    ClassNamePrefixFeaturesOutMixin,
    ClassifierMixin,
    TransformerMixin,
    BaseEstimator,
):
    """Classify multivariate time series by attention.

    Series may differ in length and have missing values (NaN); both are masked. They are scaled inside, channel by
    channel, by statistics of the training series.

    Parameters
    ----------
    encoder : str or callable, default="conv_stem"
        A name in `tsformer.models.encoders.ENCODERS`, or a callable that fulfils the contract stated there, such as
        `functools.partial(ConvStemEncoder, kernel_sizes=(5, 11))`.
    pooling : {"mean", "max", "attention"}, default="mean"
        How the tokens of a case become one vector.
    differences : bool, default=True
        Give the encoder the first difference of each channel as further channels.
    augment : "standard", callable or None, default="standard"
        Alters the scaled series (B, T, C) and their mask in training: warps time, varies gains, adds noise, blanks
        windows. A callable takes (x, observed) and returns the two.
    label_smoothing : float, default=0.1
        Share of each training label spread evenly over all classes.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes in the loss, as in scikit-learn.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels, sorted; the order of the columns of `predict_proba`.
    model_ : torch.nn.Module
        The trained network.
    history_ : dict of lists
        Step, loss, learning rate and seconds at the end of each epoch, and the validation loss where there is one:
        `pandas.DataFrame(clf.history_)`.
    n_iter_ : int
        Optimiser steps behind the weights of `model_`.
    n_channels_, n_timepoints_ : int
        Channels and longest length of the training series.
    n_features_in_ : int
        Number of channels, or of time points when fit was given a 2-D array.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Column names, when fit was given a DataFrame of one row a case whose column names are all strings.

    Notes
    -----
    `max_steps="auto"` stands for 60 epochs, but at least 400 and at most 1,200 steps; `batch_size="auto"` for 16, and
    64 from 1,000 cases.

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

    encoder: str | Callable[..., nn.Module] = "conv_stem"
    pooling: str = "mean"
    differences: bool = True
    augment: Literal["standard"] | Augmentation | None = "standard"
    label_smoothing: float = 0.1
    class_weight: dict[Any, float] | str | None = None

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = constraints_of(
        TransformerParams,
        TrainingParams,
        encoder=[StrOptions(set(ENCODERS)), callable],
        pooling=[StrOptions(set(POOLINGS))],
        differences=["boolean"],
        augment=[StrOptions({"standard"}), callable, None],
        label_smoothing=[Interval(Real, 0, 1, closed="left")],
        class_weight=[dict, StrOptions({"balanced"}), None],
    )

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
        X : array-like of shape (n_cases, n_channels, n_timepoints) or (n_cases, n_timepoints), or list of arrays
            A 2-D array holds one channel. The arrays of a list have shape (n_channels, n_timepoints_i), or
            (n_timepoints_i,) for one channel; their lengths may differ. NaN is a missing value.
        y : array-like of shape (n_cases,)
            Labels of at least two classes.
        sample_weight : array-like of shape (n_cases,), optional
            Weights of the cases in the loss; a case of weight 0 is left out.
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
        start = self.model_ if self.warm_start and hasattr(self, "model_") else None
        data = self._read_labelled(X, y, sample_weight, classes=None, reset=start is None)
        held_out = self._read_validation(X_val, y_val, sample_weight_val)
        seed = draw_seed(self.random_state)
        training = data
        if self.early_stopping and held_out is None:
            training, held_out = hold_out(data, self.validation_fraction, seed)

        history = self._fit_network(training, held_out, seed, device, start, self._n_steps(training))
        if self.refit and training is not data and not history.interrupted:
            self._fit_network(data, None, seed, device, start, history.best_step)
        return self

    def partial_fit(
        self, X: Any, y: ArrayLike, classes: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> "TransformerClassifier":
        """Train for one pass over the given series, at a constant learning rate.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`. The first call also sets the scaling of the series.
        classes : array-like of shape (n_classes,), optional
            All labels that will ever come; needed in the first call.

        Returns
        -------
        self
        """
        self._validate_params()
        device = resolve_device(self.device)
        first = not hasattr(self, "model_")
        if first and classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        if not first and classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise ValueError(
                f"`classes={classes!r}` is not the same as on last call to partial_fit, was: {self.classes_!r}"
            )
        data = self._read_labelled(X, y, sample_weight, classes=classes, reset=first)

        seed = draw_seed(self.random_state) + (0 if first else self.n_iter_)
        with seeded(seed, device) as generator:
            model = ready_to_train(self._build(data) if first else copy.deepcopy(self.model_), device)
            optimizer = adamw(model, self.learning_rate, self.weight_decay)
            if not first and self._optimizer_state is not None:
                # Adam's moments only: the learning rate may have been set anew.
                optimizer.load_state_dict(optimizer.state_dict() | {"state": self._optimizer_state})
            batches = Minibatches(data, self._batch_size(data), generator)
            history = self._train(model, batches, optimizer, constant(len(batches), 0), len(batches), device)
        self.model_: SeriesClassifier = model
        self.history_ = history.as_dict()
        self.n_iter_: int = history.best_step + (0 if first else self.n_iter_)
        self._optimizer_state: dict[str, Any] | None = to_cpu(optimizer.state_dict()["state"])
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable label of each case, (n_cases,); X is as in `fit`."""
        logits = self._logits(X)
        return self.classes_[logits.argmax(dim=1).numpy()]

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of each class in the order of `classes_`, (n_cases, n_classes); X is as in `fit`."""
        return self._logits(X).softmax(dim=1).numpy()

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Return the logits, (n_cases, n_classes), or of two classes their difference, (n_cases,); X is as in `fit`."""
        logits = self._logits(X).numpy()
        return logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits

    def transform(self, X: Any) -> NDArray[np.float64]:
        """Return the embedding of each case before the linear head, (n_cases, d_model); X is as in `fit`."""
        return self._apply(SeriesClassifier.embed, X).numpy()

    def attention_maps(self, X: Any) -> list[NDArray[np.float32]]:
        """Return what each token of each case attends to; X is as in `fit`.

        Returns
        -------
        list of ndarray of shape (n_cases, n_heads, n_tokens, n_tokens)
            One array for each layer. Row i holds the weights by which token i takes in the others; they sum to 1.
            A token stands for a stretch of time points, in order; tokens that are padding have weight 0. Where
            attention is confined to windows, a token of padding whose window holds nothing else has a row of zeros.
            The second half of the layers of `encoder="gated_two_tower"` are those over channels.
        """
        data = self._read(X)
        device = resolve_device(self.device)
        model = ready_to_predict(self.model_, device)
        # All cases in one batch, so that all have the same number of tokens.
        with torch.inference_mode(), record_attention(model) as layers:
            model(data.x.to(device), data.observed.to(device))
        return [weights.float().cpu().numpy() for weights in layers]

    def _logits(self, X: Any) -> Tensor:
        return self._apply(SeriesClassifier.forward, X)

    def _apply(self, method: Callable[..., Tensor], X: Any) -> Tensor:
        data = self._read(X)
        outputs = predict_in_batches(self.model_, method, data, resolve_device(self.device))
        return outputs.double()

    def _read(self, X: Any) -> Batch:
        check_is_fitted(self, "model_")
        return to_batch(self._check_panel(X, "X", reset=False))

    def _check_panel(self, X: Any, name: str, *, reset: bool) -> Panel:
        """Check series, and note (reset) or compare their channels and, of 2-D input, their number of time points."""
        if isinstance(X, pd.DataFrame) and (reset or self._fitted_flat):
            validate_data(self, X, reset=reset, skip_check_array=True)  # column names come before values
        panel = check_series(X, name)
        flat = not isinstance(panel, list) and panel.ndim == 2
        if reset:
            self._fitted_flat: bool = flat
        if not isinstance(X, pd.DataFrame) and (reset or (flat and self._fitted_flat)):
            validate_data(self, panel, reset=reset, skip_check_array=True)
        if reset:
            self.n_channels_ = n_channels(panel)
        check_n_channels(panel, self.n_channels_, name, type(self).__name__)
        return panel

    def _read_labelled(
        self, X: Any, y: Any, sample_weight: ArrayLike | None, *, classes: ArrayLike | None, reset: bool
    ) -> Batch:
        """Check training cases, take the classes from `classes` or y when `reset`, and leave out weights of 0."""
        if y is None:
            raise ValueError(f"This {type(self).__name__} estimator requires y to be passed, but the target y is None.")
        panel = self._check_panel(X, "X", reset=reset)
        y = column_or_1d(y, warn=True)
        assert_all_finite(y, input_name="y")
        check_classification_targets(y)
        check_consistent_length(panel, y)
        if reset:
            self.classes_ = np.unique(y if classes is None else np.asarray(classes))
        if len(self.classes_) < 2:
            raise ValueError(
                "The number of classes has to be greater than one; got 1 class. Give cases of at least two classes."
            )
        weight = check_case_weights(sample_weight, y, "sample_weight")
        used = weight > 0
        weight[used] *= check_not_negative(compute_sample_weight(self.class_weight, y[used]), "class_weight")
        data = self._label(panel, y, weight, "y")
        if reset:
            self.n_timepoints_ = data.x.shape[1]
        return data

    def _read_validation(self, X: Any, y: Any, sample_weight: ArrayLike | None) -> Batch | None:
        """Check the validation cases given to fit."""
        if X is None and y is None and sample_weight is None:
            return None
        for name, value in {"X_val": X, "y_val": y}.items():
            if value is None:
                raise ValueError(f"X_val and y_val must be given together. {name} was not provided.")
        if not self.early_stopping:
            raise ValueError(
                "X_val and y_val are passed to fit while at the same time early_stopping is False. Set "
                "early_stopping=True to use them."
            )
        panel = self._check_panel(X, "X_val", reset=False)
        y = column_or_1d(y, warn=True)
        check_consistent_length(panel, y)
        return self._label(panel, y, check_case_weights(sample_weight, y, "sample_weight_val"), "y_val")

    def _label(self, panel: Panel, y: NDArray[Any], weight: NDArray[np.float64], name: str) -> Batch:
        """Join series, class numbers and weights; cases of weight 0 are left out."""
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise ValueError(f"{name} must contain only the classes {self.classes_}. Got {unknown} too.")
        used = weight > 0
        weight = weight * (used.sum() / weight.sum())
        labels = np.searchsorted(self.classes_, y)
        data = replace(to_batch(panel), y=torch.from_numpy(labels), weight=torch.from_numpy(weight).float())
        return data if used.all() else data.select(torch.from_numpy(np.flatnonzero(used)))

    def _build(self, data: Batch) -> SeriesClassifier:
        """Make the network for the training cases, its scaling fitted to them."""
        n_channels, n_timepoints = data.x.shape[2], data.x.shape[1]
        scaler = ChannelScaler(n_channels).fit(data.x, data.observed)
        differences = None
        if self.differences:
            differences = FirstDifferences(n_channels).fit(scaler(data.x, data.observed), data.observed)
        build = ENCODERS[self.encoder] if isinstance(self.encoder, str) else self.encoder
        encoder = build(
            n_channels * (2 if self.differences else 1),
            n_timepoints,
            d_model=self.d_model,
            n_heads=self.n_heads,
            n_layers=self.n_layers,
            d_ff=self.d_ff,
            dropout=self.dropout,
        )
        augment = standard_augmentation if self.augment == "standard" else self.augment
        head = nn.Linear(self.d_model, len(self.classes_))
        model = SeriesClassifier(scaler, augment, differences, encoder, POOLINGS[self.pooling](self.d_model), head)
        initialise_weights(model)
        return model

    def _batch_size(self, data: Batch) -> int:
        if self.batch_size == "auto":
            return 16 if len(data) < 1000 else 64
        return self.batch_size

    def _n_steps(self, data: Batch) -> int:
        if self.max_steps == "auto":
            steps_per_epoch = math.ceil(len(data) / self._batch_size(data))
            return min(max(60 * steps_per_epoch, 400), 1200)
        return self.max_steps

    def _fit_network(
        self,
        data: Batch,
        held_out: Batch | None,
        seed: int,
        device: torch.device,
        start: SeriesClassifier | None,
        n_steps: int,
    ) -> History:
        """Train a new `model_`, or a copy of `start`, for n_steps."""
        size = self._batch_size(data)
        warmup_steps = round(self.warmup * n_steps)
        early_stopping = None
        if held_out is not None:
            early_stopping = EarlyStopping(
                Minibatches(held_out, size), self._objective(), self.n_iter_no_change, self.tol, warmup_steps
            )
        with seeded(seed, device) as generator:
            model = ready_to_train(self._build(data) if start is None else copy.deepcopy(start), device)
            optimizer = adamw(model, self.learning_rate, self.weight_decay)
            history = self._train(
                model,
                Minibatches(data, size, generator),
                optimizer,
                SCHEDULES[self.schedule](n_steps, warmup_steps),
                n_steps,
                device,
                average_decay=self.average_decay,
                early_stopping=early_stopping,
            )
        self.model_ = model
        self.history_ = history.as_dict()
        self.n_iter_ = history.best_step
        self._optimizer_state = None
        return history

    def _objective(self) -> objectives.Objective:
        return objectives.classification(self.label_smoothing)

    def _train(
        self,
        model: nn.Module,
        batches: Minibatches,
        optimizer: torch.optim.Optimizer,
        schedule: Schedule,
        n_steps: int,
        device: torch.device,
        **how: Any,
    ) -> History:
        return train(
            model,
            self._objective(),
            batches,
            optimizer,
            schedule,
            n_steps=n_steps,
            device=device,
            max_grad_norm=self.max_grad_norm,
            precision=getattr(torch, self.precision),
            progress=bool(self.verbose),
            **how,
        )

    @property
    def _n_features_out(self) -> int:
        return self.model_.head.in_features

    def __getstate__(self) -> dict[str, Any]:
        return portable(super().__getstate__())

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        return tags
