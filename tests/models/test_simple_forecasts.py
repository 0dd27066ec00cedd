"""Simple forecasts: what other implementations and plain loops say, for a window as such."""

import importlib.util
import warnings

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch import nn

from tsformer.models.simple_forecasts import ALPHAS, NAMES, SimpleForecasts, simple_forecasts

HORIZON = 30
LOGS = ("theta_log", "damped_log")
PLAIN = [name for name in NAMES if name not in LOGS]
seasons = pytest.mark.parametrize("season", [1, 4, 12, 24])
names = pytest.mark.parametrize("name", NAMES)


def windows(season: int, n: int = 5, n_timepoints: int = 101) -> np.ndarray:
    """Random walks with a season and a level of about 100."""
    rng = np.random.default_rng(season)
    time = np.arange(n_timepoints)
    seasonal = np.tile(rng.normal(size=(n, season)), 1 + n_timepoints // season)[:, :n_timepoints]
    return 100.0 + 0.1 * time + 5.0 * seasonal + rng.normal(size=(n, n_timepoints)).cumsum(axis=1)


def with_gaps(season: int) -> np.ndarray:
    """Windows with single values missing, the first quarter of one, the last values of another."""
    y = windows(season, n_timepoints=150)
    y[np.random.default_rng(1).random(y.shape) < 0.03] = np.nan
    y[0, :40], y[1, -2:], y[2, 50:60] = np.nan, np.nan, np.nan
    return y


def forecast(y: np.ndarray, season: int, horizon: int = HORIZON, long_season: int = 0) -> SimpleForecasts:
    """Forecast windows (B, T) in which NaN is missing, to arrays."""
    found = simple_forecasts(torch.from_numpy(y), torch.from_numpy(~np.isnan(y)), season, horizon, long_season)
    return SimpleForecasts(*(each.numpy() for each in found))


def by_name(y: np.ndarray, season: int, **options: int) -> dict[str, np.ndarray]:
    """Forecasts (B, H) of windows (B, T), or (H,) of one window, by name."""
    found = np.moveaxis(forecast(np.atleast_2d(y), season, **options).forecasts, 2, 0)
    return dict(zip(NAMES, found if y.ndim == 2 else found[:, 0], strict=True))


# The same in plain loops over one window.


def smoothed_by_hand(values: np.ndarray, alpha: float) -> tuple[float, float]:
    """The last level, and the root of the mean of the squared errors."""
    level, squares = values[:2].mean(), 0.0
    for value in values:
        squares += (value - level) ** 2
        level += alpha * (value - level)
    return level, (squares / len(values)) ** 0.5


def seasonal_by_hand(y: np.ndarray, season: int, factor: float) -> np.ndarray:
    """Seasonal indices, phase 0 first; y begins with a value."""
    half, n = season // 2, len(y)
    sums, weights = np.zeros(season), np.zeros(season)
    for i in range(half, n - half if n >= 2 * season and season > 1 else 0):
        around = y[i - half : i + half + 1]
        around = around if season % 2 else np.concatenate([around[:-1], around[1:]])
        if not np.isnan(y[i]) and np.isfinite(around).mean() >= 0.75 and i + half <= np.flatnonzero(~np.isnan(y))[-1]:
            weight = factor ** ((n - 1 - i) // season)
            sums[(i - n) % season] += weight * (y[i] - np.nanmean(around))
            weights[(i - n) % season] += weight
    index = sums / np.where(weights > 0, weights, 1.0)
    return index - index.mean()


def line_by_hand(y: np.ndarray) -> tuple[float, float]:
    """Slope, and value at the last time point."""
    time, seen = np.arange(1.0 - len(y), 1.0), ~np.isnan(y)
    return tuple(np.polyfit(time[seen], y[seen], 1))


def by_hand(y: np.ndarray, season: int) -> dict[str, np.ndarray]:
    y = y[np.flatnonzero(~np.isnan(y))[0] :]
    phase, ahead = np.arange(HORIZON) % season, np.arange(1, HORIZON + 1)
    seasonal, recent = (seasonal_by_hand(y, season, factor)[phase] for factor in (1.0, 0.6))
    rest = y - seasonal_by_hand(y, season, 1.0)[(np.arange(len(y)) - len(y)) % season]
    values = rest[~np.isnan(rest)]
    alpha = min(ALPHAS, key=lambda each: smoothed_by_hand(values, each)[1])
    level, _ = smoothed_by_hand(values, alpha)
    slope, end = line_by_hand(rest)
    line = end + slope * np.arange(1 - len(y), HORIZON + 1)
    twice = 2 * rest - line[: len(y)]  # as far again from the line
    theta = (line[len(y) :] + smoothed_by_hand(twice[~np.isnan(twice)], alpha)[0]) / 2
    recent_slope, recent_end = line_by_hand(rest[-max(2 * season, 6) :])
    damping = 0.8 ** (1 / season) if season > 1 else 0.85
    return {
        "smoothing": level + seasonal,
        "theta": theta + seasonal,
        "theta_recent": theta + recent,
        "damped": (level + recent_end) / 2 + recent_slope * np.cumsum(damping**ahead) + seasonal,
        "mean": np.nanmean(rest) + seasonal,
        "mean_recent": np.nanmean(rest[-3 * season :]) + recent,
    }


@seasons
@pytest.mark.parametrize("make", [windows, with_gaps])
def test_simple_forecasts__any_window__are_those_of_plain_loops(season, make):
    y = make(season)
    found = by_name(y, season)
    for i, window in enumerate(y):
        plain, logs = by_hand(window, season), by_hand(np.log(window), season)
        expected = plain | {f"{name}_log": np.exp(logs[name]) for name in ("theta", "damped")}
        for name, values in expected.items():
            assert_allclose(found[name][i], values, rtol=1e-9, err_msg=f"{name}, window {i}")


def test_simple_forecasts__seasons__are_those_of_statsmodels():
    decompose = pytest.importorskip("statsmodels.tsa.seasonal").seasonal_decompose
    for season in (4, 7, 12):
        y = windows(season)
        expected = [decompose(window, period=season).seasonal[-season:] for window in y]
        assert_allclose(forecast(y, season).seasonal, expected, atol=1e-10)


def test_simple_forecasts__methods_of_statsforecast__agree():
    models = pytest.importorskip("statsforecast.models")
    y, alphas = windows(1), forecast(windows(1), 1).alpha[:, 0]
    found = by_name(y, 1) | {"lag_1": by_name(y, 12)["lag_1"]}
    for i, (window, alpha) in enumerate(zip(y, alphas, strict=True)):
        start = np.concatenate([[window[:2].mean()], window])  # its first level is the first value
        for name, model, history, rtol in (
            ("lag_1", models.SeasonalNaive(12), window, 1e-12),
            ("last", models.Naive(), window, 1e-12),
            ("mean", models.HistoricAverage(), window, 1e-12),
            ("mean_recent", models.WindowAverage(3), window, 1e-12),
            ("smoothing", models.SimpleExponentialSmoothing(alpha), start, 1e-12),
            ("theta", models.Theta(1), window, 3e-3),  # it searches for its constant
        ):
            assert_allclose(found[name][i], model.forecast(history, h=HORIZON)["mean"], rtol=rtol, err_msg=name)


def test_simple_forecasts__a_tenth_of_a_long_season_missing__still_find_it():
    rng = np.random.default_rng(0)
    pattern = 10 * rng.normal(size=24)
    y = np.tile(pattern, 14)[None] + rng.normal(size=(1, 336))
    y[rng.random(y.shape) < 0.1] = np.nan
    error = np.abs(forecast(y, 24).seasonal[0] - (pattern - pattern.mean()))
    assert error.max() < 3.0


@seasons
@pytest.mark.parametrize("long_season", [0, 48])
def test_simple_forecasts__a_window__is_forecast_the_same_in_any_company(season, long_season):
    y = with_gaps(season)
    together = forecast(y, season, long_season=long_season)
    for i in range(len(y)):
        for each, alone in zip(together, forecast(y[i : i + 1], season, long_season=long_season), strict=True):
            assert_allclose(alone[0], each[i], rtol=1e-12, atol=1e-12)


@seasons
@pytest.mark.parametrize("n_before", [1, 30, 600])
def test_simple_forecasts__missing_before_the_first_value__change_nothing(season, n_before):
    for n_timepoints in (1, 2, season + 1, 2 * season - 1, 2 * season, 60):
        y = windows(season, n_timepoints=n_timepoints)
        padded = np.pad(y, ((0, 0), (n_before, 0)), constant_values=np.nan)
        for found, expected in zip(forecast(padded, season), forecast(y, season), strict=True):
            assert_allclose(found, expected, rtol=1e-12, atol=1e-12, err_msg=f"{n_timepoints} values")


@seasons
@pytest.mark.parametrize("instead", [1e300, -np.inf, np.nan])
def test_simple_forecasts__what_stands_where_nothing_is_observed__is_not_read(season, instead):
    y = with_gaps(season)
    observed = ~np.isnan(y)
    changed = simple_forecasts(
        torch.from_numpy(np.where(observed, y, instead)), torch.from_numpy(observed), season, HORIZON
    )
    for found, expected in zip(changed, forecast(y, season), strict=True):
        assert_array_equal(found, expected)


@seasons
@names
@pytest.mark.parametrize("factor", [1e-300, 1e-3, 7.0, 1e290])
def test_simple_forecasts__a_factor__multiplies_every_forecast(season, name, factor):
    y = with_gaps(season)
    assert_allclose(by_name(factor * y, season)[name], factor * by_name(y, season)[name], rtol=1e-9)


@seasons
@pytest.mark.parametrize("name", PLAIN)
def test_simple_forecasts__a_shift__shifts_all_forecasts_but_those_of_logarithms(season, name):
    y = with_gaps(season)
    assert_allclose(by_name(y - 150.0, season)[name], by_name(y, season)[name] - 150.0, atol=1e-9)


@seasons
def test_simple_forecasts__what_they_rest_on__goes_with_scale_and_shift(season):
    y = with_gaps(season)
    before, after = forecast(y, season), forecast(-3.0 * y + 10.0, season)
    assert_array_equal(after.alpha, before.alpha)
    assert_allclose(after.level, -3.0 * before.level + 10.0)
    for name in ("seasonal", "slope", "recent_slope"):
        assert_allclose(getattr(after, name), -3.0 * getattr(before, name), atol=1e-9)
    for name in ("error", "error_slow", "error_fast"):
        assert_allclose(getattr(after, name), 3.0 * getattr(before, name))


@seasons
@names
def test_simple_forecasts__constant_windows__go_on(season, name):
    for value in (3.7, -3.7, 0.0, 5e-324, 1e300, -1e300):
        y = np.full((3, 70), value)
        y[1, 5:40], y[2, :-1] = np.nan, np.nan  # a gap; a single value
        assert_allclose(by_name(y, season)[name], value, rtol=1e-15)


@seasons
def test_simple_forecasts__nothing_observed__are_0(season):
    for each in forecast(np.full((2, 50), np.nan), season)._replace(alpha=0):
        assert_array_equal(each, 0.0)


@seasons
def test_simple_forecasts__windows_of_any_kind__are_finite(season):
    rng = np.random.default_rng(0)
    normal = rng.normal(size=100)
    last_is_large, half = np.where(np.arange(100) == 99, 1e300, 1e-300), np.where(rng.random(100) < 0.5, np.nan, 1)
    kinds = (1e300 * normal, 1e-300 * normal, np.exp(50 * normal), 10.0 ** (3 * np.arange(100)), rng.poisson(0.2, 100))
    y = np.stack([*kinds, 1e15 + normal, last_is_large, half * normal])
    for each in forecast(y, season, long_season=48):
        assert np.isfinite(each).all()


@seasons
def test_simple_forecasts__windows_with_values_of_0_or_less__have_no_logarithms(season):
    y = windows(season)
    y[0, 20], y[1, 20] = 0.0, -1.0
    found = by_name(y, season)
    for name in ("theta", "damped"):
        same = (found[f"{name}_log"] == found[name]).all(axis=1)
        assert_array_equal(same, [True, True, False, False, False])


def test_simple_forecasts__exponential_growth__goes_on_and_never_beyond_ten_times_the_largest_value():
    growing = by_name(1.01 ** np.arange(100.0), 1)
    assert_allclose(growing["theta_log"][1:] / growing["theta_log"][:-1], 1.01**0.5)
    y = 2.0 ** np.arange(20.0)
    running = by_name(y, 1, horizon=200)
    assert running["theta_log"].max() == running["damped_log"].max() == 10.0 * y[-1]


@seasons
def test_simple_forecasts__a_season_that_repeats__is_gone_on_with(season):
    y = np.tile(np.random.default_rng(0).normal(size=season) + 5.0, 6)
    ahead = np.resize(y, HORIZON)
    for name, values in by_name(y, season).items():
        expected = np.full(HORIZON, y[-1]) if name == "last" else ahead
        assert_allclose(values, expected, rtol=1e-9, atol=0.02 if name in LOGS else 0.0, err_msg=name)


def test_simple_forecasts__lags__are_the_values_of_seasons_before_or_the_next_later():
    y = np.arange(1.0, 41.0)
    y[-8:-4] = [np.nan, 34.0, np.nan, 36.0]  # two seasons before
    y[[-1, -12]] = np.nan
    found = by_name(y, 4, horizon=6, long_season=8)
    assert_array_equal(found["last"], np.full(6, 39.0))
    assert_array_equal(found["lag_1"], [37, 38, 39, 39, 37, 38])
    assert_array_equal(found["lag_2"], [37, 34, 39, 36, 37, 34])
    assert_array_equal(found["lag_3"], [37, 30, 31, 32, 37, 30])
    assert_array_equal(found["lag_long"], [37, 34, 39, 36, 37, 38])


def test_simple_forecasts__a_long_season__is_its_own_lag_where_it_is_in_the_window():
    y = np.arange(1.0, 401.0)
    found = by_name(y, 24, horizon=200, long_season=168)
    assert_array_equal(found["lag_long"], np.resize(y[-168:], 200))
    short = by_name(y[-100:], 24, horizon=200, long_season=168)
    assert_array_equal(short["lag_long"][:68], short["lag_1"][:68])
    assert_array_equal(short["lag_long"][68:168], y[-100:])
    assert_array_equal(by_name(y, 24)["lag_long"], by_name(y, 24)["lag_1"])


def test_simple_forecasts__constant_of_smoothing__is_small_for_noise_and_large_for_a_walk():
    noise = np.random.default_rng(0).normal(size=(9, 300))
    assert np.median(forecast(noise, 1).alpha) == ALPHAS[0]
    assert np.median(forecast(noise.cumsum(axis=1), 1).alpha) == ALPHAS[-1]


@seasons
def test_simple_forecasts__constants_that_are_equally_good__leave_the_smallest(season):
    """Up to rounding: otherwise chance decides, and another company or a value more before them."""
    y = np.tile(np.random.default_rng(0).normal(size=(20, season)), 8)
    assert (forecast(y, season).alpha == ALPHAS[0]).all()


@seasons
def test_simple_forecasts__nothing_in_the_last_seasons__is_replaced_by_the_mean_and_the_level(season):
    y = windows(season, n_timepoints=250)
    y[:, 170:] = np.nan
    found = by_name(y, season, horizon=season)
    assert_allclose(found["mean_recent"].mean(axis=1), found["mean"].mean(axis=1))
    assert_allclose(found["damped"], found["smoothing"])


def test_simple_forecasts__a_long_season__is_what_the_recent_mean_takes():
    y = windows(1)
    expected = y[:, -7:].mean(axis=1, keepdims=True).repeat(HORIZON, axis=1)
    assert_allclose(by_name(y, 1, long_season=7)["mean_recent"], expected)


def test_simple_forecasts__errors_of_smoothing__are_root_mean_squares_one_step_ahead():
    y = windows(1)
    found = forecast(y, 1)
    for name, alphas in (("error", found.alpha[:, 0]), ("error_slow", ALPHAS[:1] * 5), ("error_fast", ALPHAS[-1:] * 5)):
        expected = [smoothed_by_hand(window, alpha)[1] for window, alpha in zip(y, alphas, strict=True)]
        assert_allclose(getattr(found, name)[:, 0], expected)


def test_simple_forecasts__long_windows__are_smoothed_from_their_last_512_values():
    y = windows(1, n_timepoints=1200)
    y[:, ::7] = np.nan
    changed = np.where(np.arange(1200) < 1200 - 512 * 7 // 6 - 7, y + 1000.0, y)
    before, after = forecast(y, 1), forecast(changed, 1)
    for name in ("level", "alpha", "error", "error_slow", "recent_slope"):
        assert_allclose(getattr(after, name), getattr(before, name), rtol=1e-9)
    assert (np.abs(after.slope - before.slope) > 0.1).all()
    assert (by_name(changed, 1)["mean"] > by_name(y, 1)["mean"] + 100.0).all()


@pytest.mark.parametrize("n_values", [23, 24])
def test_simple_forecasts__seasons__are_found_from_two_of_them_on(n_values):
    seasonal = forecast(windows(12, n_timepoints=n_values), 12).seasonal
    assert seasonal.any() == (n_values == 24)
    assert_allclose(seasonal.sum(axis=1), 0.0, atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.int64])
def test_simple_forecasts__values_of_another_type__are_forecast_in_float64(dtype):
    y = torch.from_numpy(windows(12)).to(dtype)
    observed = torch.ones_like(y, dtype=torch.bool)
    found, expected = (simple_forecasts(each, observed, 12, HORIZON) for each in (y, y.double()))
    for each, other in zip(found, expected, strict=True):
        assert each.dtype == torch.float64
        assert torch.equal(each, other)


def test_simple_forecasts__in_inference_mode_first__can_be_trained_on_afterwards():
    y = torch.from_numpy(windows(12)).requires_grad_()
    observed = torch.ones_like(y, dtype=torch.bool)
    with torch.inference_mode():
        expected = simple_forecasts(y, observed, 12, HORIZON).forecasts
    forecasts = simple_forecasts(y, observed, 12, HORIZON).forecasts
    assert torch.equal(forecasts, expected)
    (forecasts * torch.ones(len(NAMES), requires_grad=True)).sum().backward()


class Forecasting(nn.Module):
    def forward(self, y, observed):
        return tuple(simple_forecasts(y, observed, season=4, horizon=6, long_season=8))


@pytest.mark.slow
@pytest.mark.skipif(not all(map(importlib.util.find_spec, ("onnx", "onnxscript", "onnxruntime"))), reason="needs onnx")
def test_simple_forecasts__exported_to_onnx__are_equal(tmp_path):
    import onnxruntime

    def inputs(n):
        y = torch.from_numpy(windows(4, n, n_timepoints=43))
        observed = torch.rand(y.shape) > 0.1
        observed[0], observed[1, :20], y[2, 5] = False, False, -1.0
        return y, observed

    dynamic = {0: torch.export.Dim("n_windows")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, of its coming versions
        exported = torch.onnx.export(Forecasting(), inputs(4), dynamo=True, dynamic_shapes=(dynamic, dynamic))
    exported.save(tmp_path / "forecasts.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "forecasts.onnx")
    y, observed = inputs(7)
    names = [each.name for each in session.get_inputs()]
    found = session.run(None, dict(zip(names, (y.numpy(), observed.numpy()), strict=True)))
    for each, expected in zip(found, simple_forecasts(y, observed, 4, 6, 8), strict=True):
        assert_allclose(each, expected, rtol=1e-12, atol=1e-12)
