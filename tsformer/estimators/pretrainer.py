"""TransformerPretrainer: learns from unlabelled series, and turns series into embeddings."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted
from torch import nn

from tsformer.data.augment import strong_view
from tsformer.data.batch import StoredCases
from tsformer.data.cases import as_channels
from tsformer.data.messages import warn_user
from tsformer.estimators.checks import CasesMixin, channel_names, keep_fitted, read_like_fit, read_to_fit, with_ids
from tsformer.estimators.pretrained import ACCEPTED, load_encoder
from tsformer.models import channel_encoder
from tsformer.models.channel_encoder import ChannelEncoder
from tsformer.models.encoders import ENCODERS
from tsformer.params import TrainingParams, TransformerParams, constraints_of, documents_parameters_of, values_of
from tsformer.training import fitting, objectives
from tsformer.training.devices import resolve_device, shared_seed, usual_state
from tsformer.training.prediction import predict_in_batches


@documents_parameters_of(CasesMixin, TransformerParams, TrainingParams)
@dataclass(kw_only=True, eq=False, repr=False)
class TransformerPretrainer(CasesMixin, TransformerParams, TrainingParams, TransformerMixin, BaseEstimator):
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
    masked_fraction : float in (0, 1), default=0.4
        Fraction of a series that the reconstruction objective hides.
    n_resampled : int, default=512
        Time points to which each channel is resampled.
    pretrained : "bundled", path, fitted TransformerPretrainer or None, default=None
        Weights to begin with, and with them encoder, widths, layers and `n_resampled`, whatever these say. "bundled"
        comes with the package; `max_steps=0` takes it as it is. With None, `max_steps=0` leaves the weights random, a
        control, and warns. A path is that of a file which `tsformer.save` or `scripts/pretrain` wrote.
    encoder : str or callable, default="strided_stem"
        A name in `tsformer.models.encoders.ENCODERS`, or a callable that fulfils the contract stated there.
    batch_size : int or "auto", default=128
        Channels in a minibatch, the others of which a series is told from; "auto" is 16, and 64 from 1,000 channels.

    Attributes
    ----------
    model_ : torch.nn.Module
        The trained network.
    history_ : dict of lists
        Step, loss, learning rate and seconds at the end of each epoch, and the validation loss where there is one.
    n_iter_ : int
        Optimiser steps of the last `fit`, and of each `partial_fit` since.
    n_channels_ : int
        Channels of the training series.
    n_features_in_ : int
        Number of channels, or of time points when fit was given a 2-D array or a table of one row a case.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where fit was given a frame whose column names are all strings; later frames must have the same.
    fitted_on_table_ : bool
        Whether fit was given a row for each case and a column for each time point.

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
    masked_fraction: float = 0.4
    n_resampled: int = 512
    pretrained: Any = None
    encoder: str | Callable[..., nn.Module] = "strided_stem"
    d_model: int = 128
    n_layers: int = 4
    d_ff: int = 256
    batch_size: int | Literal["auto"] = 128
    learning_rate: float = 1e-3

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = constraints_of(
        CasesMixin,
        TransformerParams,
        TrainingParams,
        objective=[StrOptions(set(channel_encoder.HEADS))],
        temperature=[Interval(Real, 0, None, closed="neither")],
        masked_fraction=[Interval(Real, 0, 1, closed="neither")],
        n_resampled=[Interval(Integral, 16, None, closed="left")],
        pretrained=ACCEPTED,
        max_steps=[Interval(Integral, 0, None, closed="left"), StrOptions({"auto"})],
        encoder=[StrOptions(set(ENCODERS)), callable],
    )

    @usual_state()
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
        """
        self._validate_params()
        fitted = self.model_ if self.warm_start and hasattr(self, "model_") else None
        channels, read = self._read_channels(X, from_scratch=fitted is None)
        if self.max_steps == 0 and fitted is None and self.pretrained is None:
            warn_user("max_steps=0 and pretrained=None leave the weights random. Give pretrained='bundled', or steps.")
        start, seed = self._start(fitted), shared_seed(self)
        split = fitting.split_cases(channels, self, seed)
        if self.objective == "contrastive" and split.validation is not None and len(split.validation) < 2:
            raise ValueError(
                "early_stopping tells held-back channels from each other and needs two. Got 1: raise "
                "validation_fraction, or set early_stopping=False."
            )
        [trained], _ = fitting.fit_to_cases([start], [split], self._objective(), self, seed)
        keep_fitted(self, read | _state(trained) | {"_moments": None})
        return self

    @usual_state()
    def partial_fit(self, X: Any, y: Any = None) -> "TransformerPretrainer":
        """Train for one pass over the given series, at a constant learning rate; Ctrl-C leaves all as it was.

        X is as in `fit`.

        Returns
        -------
        self
        """
        self._validate_params()
        fitted = getattr(self, "model_", None)
        channels, read = self._read_channels(X, from_scratch=fitted is None)
        n_iter = 0 if fitted is None else self.n_iter_
        start, seed = self._start(fitted), shared_seed(self) + n_iter
        [trained] = fitting.pass_over_cases([start], channels, self._objective(), self, seed, [self._moments])
        state = _state(trained) | {"n_iter_": n_iter + trained.history.best_step, "_moments": trained.moments}
        keep_fitted(self, read | state)
        return self

    @usual_state()
    def transform(self, X: Any) -> NDArray[np.float64]:
        """Return the embedding of each case, channel by channel; X is as in `fit`.

        Returns
        -------
        ndarray of shape (n_cases, n_channels * n_features)
            Of each channel its levels: mean, standard deviation, and the means of sixteen segments (perhaps fewer where
            `n_resampled` is no multiple of 16). Then, of the series and of the means of each four of its points, the
            mean, standard deviation and maximum of the tokens of the stem, the middle and the last layer (of other
            encoders, of the last layer only). A channel without a value is embedded as one of zeros without tokens.
            `get_feature_names_out` names them.
        """
        cases = read_like_fit(self, X)
        embedded = predict_in_batches(self.model_, ChannelEncoder.embed, cases.data, resolve_device(self.device))
        return with_ids(self, cases, embedded.double().numpy())

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return the names of the embedding's columns, such as "channel0_fine_last_mean17".

        `input_features` are only compared with `feature_names_in_`, where there are any.
        """
        check_is_fitted(self, "model_")
        _check_feature_names_in(self, input_features, generate_names=False)
        channels, features = channel_names(self, "channel"), self.model_.feature_names
        return np.array([f"{channel}_{name}" for channel in channels for name in features], dtype=object)

    @property
    def encoder_(self) -> nn.Module:
        """The trained encoder, without the head: it reads the two inputs of single channels."""
        check_is_fitted(self, "model_")
        return self.model_.encoder

    def _read_channels(self, X: Any, *, from_scratch: bool) -> tuple[StoredCases, dict[str, Any]]:
        """Make each channel that has a value a case of its own, and say what the fitted attributes are."""
        cases, read = read_to_fit(self, X, from_scratch=from_scratch)
        channels = as_channels(cases.data, "X")
        is_alone = len(channels) == 1 or self.batch_size == 1
        if self.objective == "contrastive" and is_alone and self.max_steps != 0:
            warn_user(
                "objective='contrastive' tells the channels of a batch from each other, and learns nothing from one. "
                "Give more series, a larger batch_size, or set objective='reconstruction'."
            )
        return channels, read

    def _start(self, fitted: ChannelEncoder | None) -> fitting.Start:
        """How the network begins: as a copy of a fitted one, or with new weights, whatever the series."""
        network = fitted if fitted is not None or self.pretrained is None else load_encoder(self.pretrained)
        if network is None:
            known = {"objective": self.objective, "encoder": self.encoder, "n_timepoints": self.n_resampled}
            settings = known | values_of(TransformerParams, self)
            return lambda cases: channel_encoder.build_channel_encoder(**settings)
        if network.settings["objective"] != self.objective:
            raise ValueError(
                f"The weights to go on from are of a network of objective={network.settings['objective']!r}. "
                f"Got objective={self.objective!r}; set the same, or begin anew."
            )
        return partial(fitting.copy_of, network)

    def _objective(self) -> objectives.Objective:
        if self.objective == "contrastive":
            return objectives.contrastive(strong_view, self.temperature)
        return objectives.reconstruction(self.masked_fraction)


def _state(trained: fitting.Fitted) -> dict[str, Any]:
    history = trained.history
    return {"model_": trained.model, "n_iter_": history.best_step, "history_": history.as_dict()}
