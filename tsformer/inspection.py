"""What predictions looked at: fitted estimators and data in, shares of attention and falls of probability out."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from tsformer.data.batch import Batch
from tsformer.data.frames import SeriesSet
from tsformer.estimators.checks import read_like_fit
from tsformer.estimators.classifier import TransformerClassifier
from tsformer.estimators.forecaster import TransformerForecaster
from tsformer.estimators.forecasting import windows_to_forecast
from tsformer.estimators.histories import Frame, read_histories
from tsformer.layers.attention import record_attention
from tsformer.models.classifier import SeriesClassifier
from tsformer.models.ensemble import Ensemble
from tsformer.models.forecaster import SeriesForecaster
from tsformer.models.window_features import N_SERIES
from tsformer.params import checked_count
from tsformer.training.devices import ready_to_predict, resolve_device, usual_state
from tsformer.training.prediction import predict_in_batches

Floats = NDArray[np.float64]
Read = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]  # the contract of tsformer.models.encoders


@usual_state()
def attention_over_time(classifier: TransformerClassifier, X: Any) -> Floats:
    """Return the attention that each time point of each case receives.

    It is the mean over the networks, and over the layers, heads and observed tokens of each. A token spreads what it
    receives over the time points that it stands for; where few of these are observed, each still has but its own part
    of it. Layers over other tokens than those that an
    encoder returns are left out: over channels, or of stages whose tokens are merged later.

    Parameters
    ----------
    classifier : fitted TransformerClassifier
        A pretrained encoder counts for nothing here: it attends within each channel alone.
    X : as in its predict

    Returns
    -------
    ndarray of shape (n_cases, n_timepoints)
        Sums to 1 over the observed time points of a case; 0 at the others.
    """
    check_kind(classifier, TransformerClassifier)
    data, device = read_like_fit(classifier, X).data, resolve_device(classifier.device)
    if not len(classifier.model_.networks):
        raise ValueError("Attention is that of trained networks, of which n_estimators=0 has none: set 1 or more.")

    def received(network: SeriesClassifier, x: Tensor, observed: Tensor) -> Tensor:
        return F.pad(_received_by_case(network, x, observed), (0, data.n_timepoints - x.shape[1]))

    each = [predict_in_batches(network, received, data, device) for network in classifier.model_.networks]
    return torch.stack(each).double().mean(dim=0).numpy()


@usual_state()
def occlusion(classifier: TransformerClassifier, X: Any) -> Floats:
    """Return how much the probability of the predicted class falls when a channel is hidden, as a missing value is.

    Of two channels that tell the same, neither is missed.

    Parameters
    ----------
    classifier : fitted TransformerClassifier
    X : as in its predict

    Returns
    -------
    ndarray of shape (n_cases, n_channels)
    """
    check_kind(classifier, TransformerClassifier)
    data, device = read_like_fit(classifier, X).data, resolve_device(classifier.device)

    def drop(ensemble: Ensemble, x: Tensor, observed: Tensor) -> Tensor:
        return _probability_drop(ensemble, x, observed, torch.eye(x.shape[2], dtype=torch.bool, device=x.device))

    return predict_in_batches(classifier.model_, drop, data, device).numpy()


@usual_state()
def occlusion_over_time(classifier: TransformerClassifier, X: Any, n_windows: int = 10) -> Floats:
    """Return how much the probability of the predicted class falls when a window of time is hidden, in all channels.

    Each case is cut into windows of one length, which are hidden in turn, as missing values are. What happens again in
    another window may not be missed.

    Parameters
    ----------
    classifier : fitted TransformerClassifier
    X : as in its predict
    n_windows : int, default=10

    Returns
    -------
    ndarray of shape (n_cases, n_timepoints)
        The fall without the window that a time point lies in; 0 after the end of a case.
    """
    check_kind(classifier, TransformerClassifier)
    n_windows = checked_count(n_windows, "n_windows")
    data, device = read_like_fit(classifier, X).data, resolve_device(classifier.device)

    def drop(ensemble: Ensemble, x: Tensor, observed: Tensor) -> Tensor:
        window = _window_of(observed.any(dim=-1), n_windows)  # (B, T)
        hidden = (window == number for number in torch.arange(n_windows, device=x.device))
        falls = _probability_drop(ensemble, x, observed, (each.unsqueeze(-1) for each in hidden))
        falls = F.pad(falls, (0, 1))  # 0 for the time points in no window
        return F.pad(falls.gather(1, window), (0, data.n_timepoints - x.shape[1]))

    return predict_in_batches(classifier.model_, drop, data, device).numpy()


@usual_state()
def attention_over_history(
    forecaster: TransformerForecaster,
    df: Frame | SeriesSet | None = None,
    horizon: int | None = None,
    future: Frame | None = None,
) -> Floats:
    """Return the attention, mean over layers and heads, of each patch of a forecast to each time point of its history.

    Parameters
    ----------
    forecaster : fitted TransformerForecaster
        `lengths_` tells its context; a patch is 12 time points.
    df, horizon, future : as in its predict

    Returns
    -------
    ndarray of shape (n_series, n_patches, context)
        Each column of a wide frame is a series. The last time point is the last of the series. Sums to 1 over the
        observed time points; 0 at the others, and before a series begins.
    """
    check_kind(forecaster, TransformerForecaster)
    series, device = read_histories(forecaster, df), resolve_device(forecaster.device)
    horizon = forecaster.horizon if horizon is None else checked_count(horizon, "horizon")
    windows = windows_to_forecast(forecaster, series, horizon, future)
    model = ready_to_predict(forecaster.model_, device)
    with torch.inference_mode():
        return torch.cat([_received_by_window(model, batch.to(device)).cpu() for batch in windows]).double().numpy()


def check_kind(estimator: Any, *kinds: type) -> None:
    """Raise a TypeError that names the way out for what is no estimator of these classes, or wraps one."""
    if not isinstance(estimator, kinds):
        names, given = " or ".join(f"a {kind.__name__}" for kind in kinds), type(estimator)
        raise TypeError(
            f"estimator must be {names} of tsformer. Got an instance of {given.__module__}.{given.__qualname__}; of a "
            "search, give its best_estimator_, of a Pipeline its last step, of an adapter its estimator_."
        )


def _received_by_case(network: SeriesClassifier, x: Tensor, observed: Tensor) -> Tensor:
    """Attention that each time point receives, (B, T)."""
    encoder: nn.Module = getattr(network.encoder, "step_tower", network.encoder)  # of two towers, that over time
    with record_attention(encoder) as layers:
        _, token_mask = network.tokens(x, observed)
    layers = [each for each in layers if each.shape[-1] == token_mask.shape[1]]
    if not layers:
        raise ValueError("No layer of the encoder attends to its tokens, so there is no attention to show.")
    looking = token_mask.to(layers[0].dtype)
    looking = looking / looking.sum(dim=1, keepdim=True)
    weights = torch.stack([each.mean(dim=1) for each in layers]).mean(dim=0)  # (B, N, N)
    return over_time_points(looking.unsqueeze(1) @ weights, observed, token_span(network.tokens, x)).squeeze(1)


def _received_by_window(model: SeriesForecaster, batch: Batch) -> Tensor:
    """Attention that each patch pays to each time point, (B, M, T)."""
    assert batch.future is not None  # for the type checker: windows always have it
    window = model.encode(batch.x, batch.observed, batch.future, batch.seasons)
    blocks: Any = model.decoder.blocks
    with record_attention(nn.ModuleList(block.cross_attention for block in blocks)) as steps:
        model.roll_out(window)
    if not steps:
        raise ValueError("A forecaster with n_layers=0 has no cross-attention to show.")
    weights = torch.cat(steps, dim=2).mean(dim=1)  # (B, M * layers, N), layer after layer in each step
    weights = weights.unflatten(1, (window.ahead.shape[1], -1)).mean(dim=2)
    read = torch.cat([batch.x, batch.x.new_zeros(*batch.x.shape[:2], N_SERIES - 1)], dim=-1).to(weights.dtype)
    return over_time_points(weights, batch.observed, token_span(model.encoder, read))


def _probability_drop(ensemble: Ensemble, x: Tensor, observed: Tensor, hidden: Iterable[Tensor]) -> Tensor:
    """Fall of the predicted class's probability without what each of K masks hides of (B, T, C), (B, K)."""
    probability = ensemble(x, observed).exp()
    best = probability.argmax(dim=1, keepdim=True)
    without = [ensemble(x, observed & ~mask).exp() for mask in hidden]
    return torch.cat([(probability - each).gather(1, best) for each in without], dim=1)


def _window_of(observed: Tensor, n_windows: int) -> Tensor:
    """Number of the window of each time point (B, T), n_windows after the last one observed."""
    places = torch.arange(observed.shape[1], device=observed.device)
    lengths = (places + 1).mul(observed).amax(dim=1, keepdim=True)
    return (places * n_windows // lengths.clamp(min=1)).clamp(max=n_windows)


def over_time_points(received: Tensor, observed: Tensor, span: int) -> Tensor:
    """Spread what tokens receive (B, M, N) over the time points (B, M, T) observed (B, T, C) of each.

    A token spreads over its full width; what falls on time points not observed is left out, and the rest made to sum to
    1. So a token of which little is observed does not stand out when all tokens receive the same.
    """
    observed = observed.any(dim=-1)
    token = torch.arange(observed.shape[1], device=observed.device) // span
    spread = torch.where(observed.unsqueeze(1), received[..., token], 0.0)
    return spread / spread.sum(dim=-1, keepdim=True).clamp(min=torch.finfo(spread.dtype).tiny)


def token_span(read: Read, x: Tensor) -> int:
    """Time points that a token of series like x (B, T, C) stands for.

    The mask tells it of any encoder: a second token is observed as soon as a series is longer than one span.
    """
    shortest, longest = 1, x.shape[1]
    while shortest < longest:
        middle = (shortest + longest) // 2
        first = torch.arange(x.shape[1], device=x.device) <= middle
        _, token_mask = read(torch.zeros_like(x[:1]), first[None, :, None].expand_as(x[:1]))
        shortest, longest = (shortest, middle) if token_mask.sum() > 1 else (middle + 1, longest)
    return shortest
