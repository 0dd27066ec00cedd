"""TransformerPretrainer: learns from unlabelled series, and turns series into embeddings."""

import functools
import os
import warnings
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted
from torch import nn

from tsformer.data.arrays import to_batch
from tsformer.data.augment import strong_view
from tsformer.data.batch import Batch
from tsformer.estimators._cases import channel_names, check_panel, with_ids
from tsformer.estimators._fitting import (
    LOG,
    draw_seed,
    hold_out,
    log_end,
    portable,
    predict_in_batches,
    resolve_device,
    to_cpu,
)
from tsformer.estimators._networks import Run, Start, batch_size, budget, go_on_from, run_in_turn, run_once
from tsformer.estimators._pretrained import pretrained_network
from tsformer.models.channel_encoder import HEADS, PretrainingNetwork, as_channels, build_pretraining
from tsformer.models.encoders import ENCODERS
from tsformer.params import TrainingParams, TransformerParams, constraints_of, documents_parameters_of
from tsformer.training import objectives
from tsformer.training.callbacks import SILENT
from tsformer.training.objectives import Objective


@documents_parameters_of(TransformerParams, TrainingParams)
@dataclass(kw_only=True, eq=False, repr=False)
class TransformerPretrainer(TransformerParams, TrainingParams, TransformerMixin, BaseEstimator):
    """Learn embeddings of series without labels.

    Each channel is looked at alone: brought to one length and to mean 0 and deviation 1, it is read with its first
    difference. Series may differ in length and have missing values (NaN). Level and scale stay in the embedding as
    means and a deviation.

    Parameters
    ----------
    objective : {"contrastive", "reconstruction"}, default="contrastive"
        What is learned: which two altered series are views of one, or the values that were hidden.
    temperature : float, default=0.1
        Of the contrastive objective; smaller ones heed the most similar other series more.
    masked_share : float in (0, 1), default=0.4
        Share of a series that the reconstruction objective hides.
    n_resampled : int, default=512
        Time points to which each channel is resampled.
    pretrained : "bundled", path, fitted TransformerPretrainer or None, default=None
        Weights to begin with, and with them encoder, widths, layers and `n_resampled`, whatever these say. "bundled"
        comes with the package; `max_steps=0` takes it as it is. With None, `max_steps=0` leaves the weights random, a
        control, and warns. A path is that of a file which `tsformer.save` or `scripts/pretrain` wrote.
    encoder : str or callable, default="strided_stem"
        A name in `tsformer.models.encoders.ENCODERS`, or a callable that fulfils the contract stated there.
    d_model : int, default=128
        Width of a token.
    n_layers : int, default=4
        Attention blocks.
    d_ff : int, default=256
        Hidden width of the feed-forward networks.
    batch_size : int or "auto", default=128
        Channels in a minibatch, the others of which a series is told from; "auto" is 16, and 64 from 1,000 channels.
    learning_rate : float, default=1e-3
        Peak learning rate of AdamW.
    id_col : str, int or tuple, default="unique_id"
        Column of a long frame that tells its cases apart.
    time_col : str, int or tuple, default="ds"
        Column of a long frame that orders the rows of a case; how far apart they are does not matter.

    Attributes
    ----------
    model_ : torch.nn.Module
        The trained network.
    history_ : dict of lists
        Step, loss, learning rate and seconds at the end of each epoch, and the validation loss where there is one.
    n_iter_ : int
        Optimiser steps behind the weights.
    n_channels_ : int
        Channels of the training series.
    n_features_in_ : int
        Number of channels, or of time points when fit was given a 2-D array.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the channels, or of the columns of a table of one row a case, when fit was given a DataFrame whose
        column names are all strings.

    Notes
    -----
    `max_steps="auto"` stands for 60 epochs, but at least 400 and at most 1,200 steps, of series beyond 1,024 time
    points fewer in proportion. The validation loss of early stopping is that of altered series as well, and noisy.

    References
    ----------
    Chen et al. (2020), "A simple framework for contrastive learning of visual representations"; van den Oord et al.
    (2018), "Representation learning with contrastive predictive coding". Reconstruction: Zerveas et al. (2021), "A
    transformer-based framework for multivariate time series representation learning".

    Examples
    --------
    >>> from tsformer import TransformerPretrainer
    >>> from tsformer.datasets import load_classification
    >>> X, _ = load_classification("BasicMotions", split="train")
    >>> pretrainer = TransformerPretrainer(max_steps=2, random_state=0).fit(X)
    >>> pretrainer.transform(X).shape
    (40, 13932)
    """

    objective: str = "contrastive"
    temperature: float = 0.1
    masked_share: float = 0.4
    n_resampled: int = 512
    pretrained: Any = None
    encoder: str | Callable[..., nn.Module] = "strided_stem"
    d_model: int = 128
    n_layers: int = 4
    d_ff: int = 256
    batch_size: int | Literal["auto"] = 128
    learning_rate: float = 1e-3
    id_col: Hashable = "unique_id"
    time_col: Hashable = "ds"

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = constraints_of(
        TransformerParams,
        TrainingParams,
        objective=[StrOptions(set(HEADS))],
        temperature=[Interval(Real, 0, None, closed="neither")],
        masked_share=[Interval(Real, 0, 1, closed="neither")],
        n_resampled=[Interval(Integral, 16, None, closed="left")],
        pretrained=[str, os.PathLike, HasMethods("transform"), None],
        max_steps=[Interval(Integral, 0, None, closed="left"), StrOptions({"auto"})],
        encoder=[StrOptions(set(ENCODERS)), callable],
        id_col=[str, Integral, tuple],
        time_col=[str, Integral, tuple],
    )

    def fit(self, X: Any, y: Any = None) -> "TransformerPretrainer":
        """Train on series.

        Parameters
        ----------
        X : array-like of shape (n_cases, n_channels, n_timepoints) or (n_cases, n_timepoints), list, or DataFrame
            All forms that `TransformerClassifier.fit` takes: lists of unequal lengths, NaN for missing values, tensors,
            and the frames of pandas, sktime and aeon.
        y : None
            Not used; here so that pipelines can pass it.

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
        fitted = self.model_ if self.warm_start and hasattr(self, "model_") else None
        data = self._read_channels(X, reset=fitted is None)
        if self.max_steps == 0 and fitted is None and self.pretrained is None:
            warnings.warn(
                "max_steps=0 and pretrained=None leave the weights random. Give pretrained='bundled', or steps.",
                stacklevel=2,
            )
        seed = draw_seed(self.random_state)
        training, held_out = data, None
        if self.early_stopping:
            training, held_out = hold_out(data, self.validation_fraction, seed)
            if self.objective == "contrastive" and len(held_out) < 2:
                raise ValueError(
                    "early_stopping tells held-back channels from each other and needs two. Got 1: raise "
                    "validation_fraction, or set early_stopping=False."
                )
        LOG.info(
            "%s: %d channels of up to %d time points; on %s, at most %d steps of up to %d channels.",
            *(type(self).__name__, len(training), training.x.shape[1], device),
            *(budget(self, len(training), training.x.shape[1]), batch_size(self, len(training))),
        )
        (run,) = run_in_turn(
            [(self._start(fitted), seed, self)],
            training,
            held_out,
            data if self.refit and held_out is not None else None,
            self._objective(),
            augment_until=1.0,
            device=device,
            task=SILENT,
        )
        self._keep(run)
        log_end(self, [run.history])
        return self

    def partial_fit(self, X: Any, y: Any = None) -> "TransformerPretrainer":
        """Train for one pass over the given series, at a constant learning rate; X is as in `fit`.

        Returns
        -------
        self
        """
        self._validate_params()
        device = resolve_device(self.device)
        fitted = getattr(self, "model_", None)
        data = self._read_channels(X, reset=fitted is None)
        n_iter = 0 if fitted is None else self.n_iter_
        moments: dict[str, Any] | None = None if fitted is None else self._moments
        run = run_once(
            self._start(fitted),
            data,
            self._objective(),
            self,
            seed=draw_seed(self.random_state) + n_iter,
            device=device,
            moments=moments,
        )
        self._keep(run)
        self.n_iter_ += n_iter
        self._moments: dict[str, Any] | None = to_cpu(run.optimizer.state_dict()["state"])
        return self

    def transform(self, X: Any) -> NDArray[np.float64]:
        """Return the embedding of each case, channel by channel; X is as in `fit`.

        Returns
        -------
        ndarray of shape (n_cases, n_channels * n_features)
            Of each channel its levels: mean, deviation, and the means of sixteen segments (perhaps fewer where
            `n_resampled` is no multiple of 16). Then, of the series and of the means of each four of its points, the
            mean, deviation and maximum of the tokens of the stem, the middle and the last layer (of other encoders, of
            the last layer only). A channel without a value is embedded as one of zeros without tokens.
            `get_feature_names_out` names them.
        """
        check_is_fitted(self, "model_")
        data = to_batch(check_panel(self, X, "X", reset=False))
        embedded = predict_in_batches(self.model_, PretrainingNetwork.embed, data, resolve_device(self.device))
        return with_ids(self, X, embedded.double().numpy())

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return the names of the embedding's columns, such as "channel0_fine_last_mean17".

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Only compared with `feature_names_in_`, where there are any.

        Returns
        -------
        ndarray of str objects
        """
        check_is_fitted(self, "model_")
        _check_feature_names_in(self, input_features, generate_names=False)
        channels = channel_names(self, "channel")
        names = [f"{channel}_{name}" for channel in channels for name in self.model_.feature_names]
        return np.array(names, dtype=object)

    @property
    def encoder_(self) -> nn.Module:
        """The trained encoder, without the head: it reads the two inputs of single channels."""
        check_is_fitted(self, "model_")
        return self.model_.encoder

    def _read_channels(self, X: Any, *, reset: bool) -> Batch:
        """Check series and make each channel that has a value a case of its own."""
        data = to_batch(check_panel(self, X, "X", reset=reset))
        x, observed = as_channels(data.x, data.observed)
        return Batch(x, observed).select(observed.flatten(1).any(dim=1).nonzero().flatten())

    def _start(self, fitted: PretrainingNetwork | None) -> Start:
        """How the network begins: as a copy of a fitted one, or with new weights, whatever the series."""
        network = fitted
        if network is None and self.pretrained is not None:
            network = pretrained_network(self.pretrained)
        if network is not None:
            if network.settings["objective"] != self.objective:
                raise ValueError(
                    f"The weights to go on from are of a network of objective={network.settings['objective']!r}. "
                    f"Got objective={self.objective!r}; set the same, or begin anew."
                )
            return functools.partial(go_on_from, network)
        return lambda data: build_pretraining(
            objective=self.objective,
            encoder=self.encoder,
            n_timepoints=self.n_resampled,
            d_model=self.d_model,
            n_heads=self.n_heads,
            n_layers=self.n_layers,
            d_ff=self.d_ff,
            dropout=self.dropout,
        )

    def _objective(self) -> Objective:
        if self.objective == "contrastive":
            return objectives.contrastive(strong_view, self.temperature)
        return objectives.reconstruction(self.masked_share)

    def _keep(self, run: Run) -> None:
        self.model_: Any = run.model
        self.n_iter_ = run.history.best_step
        self.history_ = run.history.as_dict()
        self._moments = None  # of the optimiser, for partial_fit

    def __getstate__(self) -> dict[str, Any]:
        return portable(super().__getstate__())

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        return tags
