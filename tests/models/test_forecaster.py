"""The forecasting network: roll-outs with and without cache, alone and in company, and no patch sees a later one."""

from itertools import product

import pytest
import torch
from torch import Tensor
from torch.nn.functional import pad

from tsformer.models import simple_forecasts
from tsformer.models.forecaster import (
    BEGINNING,
    MOST_PATCHES,
    PATCH_LENGTH,
    Lengths,
    SeriesForecaster,
    Window,
    build_forecaster,
    choose_lengths,
    in_patches,
    with_covariates,
)
from tsformer.models.heads import HEADS
from tsformer.models.window_features import LIMIT

CONTEXT, N_PATCHES, SEASON = 36, 4, 6
HORIZON = N_PATCHES * PATCH_LENGTH
EXACT = {"atol": 1e-9, "rtol": 0.0}


def network(
    n_future: int = 0, head: str = "quantile", *, n_past: int = 0, new: bool = False, **changes: int
) -> SeriesForecaster:
    """A network in float64; unless `new`, one whose tokens weigh simple forecasts in their own ways."""
    torch.manual_seed(0)
    size = {"d_model": 16, "n_heads": 2, "n_layers": 2, "d_ff": 32, "dropout": 0.0}
    model = build_forecaster("patch", head, CONTEXT, n_past=n_past, n_future=n_future, **size | changes)
    if not new:
        torch.nn.init.normal_(model.mixture.weight, std=0.1)
    return model.double().eval()


def windows(n_cases: int, n_future: int = 0, *, padded: bool = False, n_past: int = 0) -> tuple[Tensor, ...]:
    """Contexts x (B, T, C), their mask, and future covariates (B, H, n_future).

    Padded: histories of different length, the shortest within one token, and a missing value in each.
    """
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(n_cases, CONTEXT, 1 + n_past + n_future, generator=generator, dtype=torch.float64)
    x[..., 0] = 50.0 + 10.0 * x[..., 0] + 0.5 * torch.arange(CONTEXT)
    future = torch.randn(n_cases, HORIZON, n_future, generator=generator, dtype=torch.float64)
    observed = torch.ones_like(x, dtype=torch.bool)
    if padded:
        lengths = torch.tensor([CONTEXT, 17, 3])[:n_cases] if n_cases > 1 else torch.tensor([17])
        observed &= (torch.arange(CONTEXT) >= CONTEXT - lengths[:, None]).unsqueeze(-1)
        observed[:, -2, 0] = False
    return torch.where(observed, x, 0.0), observed, future


def encode(model: SeriesForecaster, *given: Tensor) -> Window:
    return model.encode(*given, (SEASON, 0))


def roll_out(model: SeriesForecaster, *given: Tensor, **options) -> tuple[Tensor, Tensor]:
    return model.roll_out(encode(model, *given), **options)


def inputs_from(model: SeriesForecaster, window: Window, values: Tensor, *, known: bool) -> Tensor:
    """What the decoder reads (B, M, P, 2) before each patch when `values` (B, M, P) are the patches."""
    return torch.cat([window.last.unsqueeze(1), model.as_input(values[:, :-1], known=known)], dim=1)


situations = pytest.mark.parametrize(
    ("n_cases", "padded", "n_future"), list(product((1, 3), (False, True), (0, 2))), ids=lambda value: str(value)
)
each_way = pytest.mark.parametrize("cached", [True, False])


@situations
def test_roll_out__cached_and_uncached__agree_at_every_step(n_cases, padded, n_future):
    model, given = network(n_future), windows(n_cases, n_future, padded=padded)
    cached, uncached = (roll_out(model, *given, cached=cached) for cached in (True, False))
    for ours, theirs in zip(cached, uncached, strict=True):
        torch.testing.assert_close(ours, theirs, **EXACT)
    assert cached[0].shape[:3] == cached[1].shape == (n_cases, N_PATCHES, PATCH_LENGTH)
    assert cached[1].std(dim=1).min() > 1e-3  # steps differ, so that a step in the place of another would show


@pytest.mark.parametrize("head", sorted(HEADS))
def test_roll_out__every_head_cached_and_uncached__agree(head):
    model, given = network(head=head), windows(3, padded=True)
    cached, uncached = (roll_out(model, *given, cached=cached) for cached in (True, False))
    torch.testing.assert_close(cached, uncached, **EXACT)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("head", sorted(set(HEADS) - {"point"}))
def test_roll_out__drawn_with_the_same_seed__agrees_cached_and_uncached(head):
    model, given = network(head=head), windows(3, padded=True)
    drawn = [roll_out(model, *given, drawn_by=seeded(2), cached=cached) for cached in (True, False)]
    torch.testing.assert_close(*drawn, **EXACT)
    assert not torch.equal(roll_out(model, *given, drawn_by=seeded(3))[1], drawn[0][1])


def test_roll_out__float32__agrees_cached_and_uncached_to_1e_4():
    model, given = network(2).float(), windows(3, 2, padded=True)
    cached, uncached = (roll_out(model, *given, cached=cached) for cached in (True, False))
    assert cached[1].dtype == torch.float32
    torch.testing.assert_close(cached, uncached, atol=1e-4, rtol=0.0)


@situations
@pytest.mark.parametrize("drawn", [False, True])
def test_forward__fed_with_a_roll_out__gives_its_outputs(n_cases, padded, n_future, drawn):
    """Teacher forcing and the roll-out are one function; a draw is told as known, a forecast is not."""
    model = network(n_future)
    window = encode(model, *windows(n_cases, n_future, padded=padded))
    outputs, values = model.roll_out(window, drawn_by=seeded(0) if drawn else None)
    torch.testing.assert_close(model(window, inputs_from(model, window, values, known=drawn)), outputs, **EXACT)
    other = model(window, inputs_from(model, window, values, known=not drawn))
    torch.testing.assert_close(other[:, 0], outputs[:, 0], **EXACT)
    assert not torch.isclose(other[:, 1:], outputs[:, 1:]).all()


@situations
def test_forward__later_patches_and_what_is_known_ahead_of_them__have_exactly_no_influence(n_cases, padded, n_future):
    model = network(n_future)
    window = encode(model, *windows(n_cases, n_future, padded=padded))
    values = torch.randn(n_cases, N_PATCHES, PATCH_LENGTH, dtype=torch.float64)
    inputs = inputs_from(model, window, values, known=True).detach().requires_grad_()
    ahead = window.ahead.detach().requires_grad_()
    outputs = model(window._replace(ahead=ahead), inputs)
    for step in range(N_PATCHES):
        for gradient in torch.autograd.grad(outputs[:, step].sum(), (inputs, ahead), retain_graph=True):
            assert (gradient[:, step + 1 :] == 0.0).all()
            assert (gradient[:, : step + 1] != 0.0).any(dim=(2, 3)).all()


@each_way
def test_roll_out__one_series__is_as_in_a_batch(cached):
    model, given = network(2), windows(3, 2, padded=True)
    together = roll_out(model, *given, cached=cached)
    for i in range(3):
        alone = roll_out(model, *(part[i : i + 1] for part in given), cached=cached)
        torch.testing.assert_close(alone, tuple(part[i : i + 1] for part in together), **EXACT)


@each_way
def test_roll_out__what_was_not_observed__changes_nothing(cached):
    model, (x, observed, future) = network(1, n_past=1), windows(3, 1, n_past=1, padded=True)
    observed[:, -5, 1], observed[:, -9, 2] = False, False
    expected = roll_out(model, torch.where(observed, x, 0.0), observed, future, cached=cached)
    changed = torch.where(observed, x, 99.0)
    torch.testing.assert_close(roll_out(model, changed, observed, future, cached=cached), expected, **EXACT)


@each_way
def test_roll_out__more_padding_before_a_history__changes_nothing(cached):
    """Nobody looks at tokens of padding, and positions count relative to each other, rotations being in float32."""
    model, (x, observed, future) = network(2), windows(3, 2, padded=True)
    expected = roll_out(model, x, observed, future, cached=cached)
    longer = [pad(part, (0, 0, 2 * PATCH_LENGTH, 0)) for part in (x, observed)]
    torch.testing.assert_close(roll_out(model, *longer, future, cached=cached), expected, atol=1e-7, rtol=0.0)


def test_roll_out__more_steps__begin_with_the_fewer():
    """Covariates known ahead of a later step are not seen before it; parts of a patch are those of the whole."""
    model, (x, observed, future) = network(2), windows(3, 2)
    more = roll_out(model, x, observed, future)
    fewer = roll_out(model, x, observed, future[:, : 2 * PATCH_LENGTH])
    torch.testing.assert_close(tuple(part[:, :2] for part in more), fewer, **EXACT)
    model, (x, observed, future) = network(), windows(3)
    part = roll_out(model, x, observed, future[:, :5])
    torch.testing.assert_close(tuple(part[:, :1] for part in roll_out(model, x, observed, future)), part, **EXACT)


def test_roll_out__covariates_of_a_step__change_it_and_those_after():
    model, (x, observed, future) = network(2), windows(3, 2)
    expected = roll_out(model, x, observed, future)[1]
    future[:, 2 * PATCH_LENGTH : 3 * PATCH_LENGTH] += 1.0
    changed = roll_out(model, x, observed, future)[1] != expected
    assert not changed[:, :2].any()
    assert changed[:, 2:].any(dim=-1).all()


def test_roll_out__forecasts_beyond_the_limit__are_cut_there():
    model, given = network(), windows(3)
    torch.nn.init.constant_(model.head.linear.bias, 100.0)
    assert (roll_out(model, *given)[1] == 2.0 * LIMIT).all()
    counts = network(head="negative_binomial")
    torch.nn.init.constant_(counts.head.linear.bias, 100.0)
    assert (roll_out(counts, *given)[1] > 2.0 * LIMIT).all()  # rare counts lie many means away


@pytest.mark.parametrize("head", sorted(HEADS))
@pytest.mark.parametrize("factor", [1e-9, 7.0, 1e200])
def test_roll_out__values_times_a_factor__gives_forecasts_times_that_factor(head, factor):
    model, (x, observed, future) = network(head=head), windows(3, padded=True)
    expected = unscaled(model, x, observed, future)
    torch.testing.assert_close(unscaled(model, factor * x, observed, future) / factor, expected, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("head", ["point", "quantile", "student_t", "tokens"])
@pytest.mark.parametrize("shift", [-500.0, -1e6])
def test_roll_out__values_below_zero_moved__moves_the_forecasts_alike(head, shift):
    """There are no logarithms then, and the level is told in one statistic alone."""
    model, (x, observed, future) = network(head=head), windows(3, padded=True)
    torch.nn.init.zeros_(model.statistics[0].weight[:, 1])
    x = x - 60.0
    x[:, -1] = -20.0
    expected = unscaled(model, x, observed, future)
    moved = unscaled(model, x + shift, observed, future) - shift
    torch.testing.assert_close(moved, expected, atol=1e-6, rtol=1e-6)


def unscaled(model: SeriesForecaster, *given: Tensor) -> Tensor:
    """Forecasts (B, H) in the units of the data."""
    window = encode(model, *given)
    return window.scale.undo(model.roll_out(window)[1].flatten(1))


@pytest.mark.parametrize("head", sorted(HEADS))
def test_build__new_network__forecasts_the_mixture_of_simple_forecasts_that_it_begins_with(head):
    model, (x, observed, future) = network(head=head, new=True), windows(3)
    found = simple_forecasts.simple_forecasts(x[..., 0], observed[..., 0], SEASON, HORIZON).forecasts
    expected = sum(weight * found[..., simple_forecasts.NAMES.index(name)] for name, weight in BEGINNING.items())
    spread = encode(model, x, observed, future).scale.spread
    off = (unscaled(model, x, observed, future) - expected) / spread
    assert off.abs().max() < 1.0
    torch.nn.init.zeros_(model.head.linear.weight)
    off = (unscaled(model, x, observed, future) - expected) / spread
    torch.testing.assert_close(off, torch.zeros_like(off), atol=1e-3, rtol=0.0)


@pytest.mark.parametrize("head", sorted(HEADS))
def test_forward__new_network__every_parameter_gets_a_gradient(head):
    model = network(1, head, n_past=1, new=True)
    window = encode(model, *windows(3, 1, n_past=1, padded=True))
    target = torch.randn(3, N_PATCHES, PATCH_LENGTH, dtype=torch.float64).abs()
    outputs = model(window, inputs_from(model, window, target, known=True))
    model.head.losses(outputs, target, window.scale.spread.unsqueeze(-1)).sum().backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    without = [name for name, gradient in gradients.items() if gradient is None or not gradient.any()]
    # A bias moves all keys alike, and the level of a softmax changes nothing.
    of_bins = ["mixture.weight", "mixture.bias"] if head == "tokens" else []  # it is not known how they move a target
    assert [name for name in without if "key" not in name] == of_bins


def test_encode__history_shorter_than_a_patch__pads_the_last_patch_as_missing():
    x = torch.tensor([[[3.0], [5.0]]], dtype=torch.float64)
    window = encode(network(), x, torch.ones_like(x, dtype=torch.bool), torch.zeros(1, 5, 0))
    assert window.last[0, :, 1].tolist() == [0.0] * 10 + [1.0, 1.0]
    assert (window.last[0, :10, 0] == 0.0).all()
    torch.testing.assert_close(window.scale.undo(window.last[:, 10:, 0]), x[..., 0])


def test_encode__horizon_that_ends_within_a_patch__looks_ahead_by_whole_patches():
    x, observed, future = windows(2, 1)
    window = encode(network(1), x, observed, future[:, :13])
    assert window.ahead.shape[1:3] == (2, PATCH_LENGTH)
    whole = encode(network(1), x, observed, future).ahead
    torch.testing.assert_close(window.ahead[:, 0], whole[:, 0], **EXACT)
    torch.testing.assert_close(window.ahead[:, 1, :, :-2], whole[:, 1, :, :-2], **EXACT)
    assert (window.ahead[:, 1, 1:, -2] == 0.0).all()  # covariates of what is not asked for


def test_in_patches__length_no_multiple__is_filled_with_zeros():
    patches = in_patches(torch.arange(1.0, 15.0)[None])
    assert patches.tolist() == [[[float(i) for i in range(1, 13)], [13.0, 14.0, *[0.0] * 10]]]
    assert in_patches(torch.ones(2, 13, 5)).shape == (2, 2, 12, 5)


@pytest.mark.parametrize("head", sorted(HEADS))
def test_build__settings_of_a_network__make_one_of_the_same_shape(head):
    model = network(2, head, n_past=1)
    other = build_forecaster(**model.settings).double().eval()
    other.load_state_dict(model.state_dict())
    given = windows(3, 2, n_past=1, padded=True)
    torch.testing.assert_close(roll_out(other, *given), roll_out(model, *given), atol=0.0, rtol=0.0)


@pytest.mark.parametrize(("n_past", "n_future"), [(1, 0), (0, 2), (2, 1)])
def test_with_covariates__network_without__forecasts_as_before_and_can_learn_from_them(n_past, n_future):
    model, (x, observed, future) = network(), windows(3, n_future, n_past=n_past, padded=True)
    expected = roll_out(model, x[..., :1], observed[..., :1], future[..., :0])
    wider = with_covariates(model, n_past, n_future).double().eval()
    torch.testing.assert_close(roll_out(wider, x, observed, future), expected, atol=1e-12, rtol=0.0)
    assert wider.settings == model.settings | {"n_past": n_past, "n_future": n_future}
    roll_out(wider, x, observed, future, cached=False)[0].square().sum().backward()
    embeddings = [wider.encoder.embedding.linear.weight.grad.unflatten(1, (PATCH_LENGTH, 2, -1))[:, :, 0, -n_past:]]
    if n_future:
        embeddings.append(wider.embedding.weight.grad.unflatten(1, (PATCH_LENGTH, -1))[..., -n_future:])
    assert all(gradient.any() for gradient in embeddings)


def test_choose_lengths__context__is_whole_patches_and_no_longer_than_the_longest_series_asks_for():
    for season, longest in product((1, 4, 12, 24, 168), (1, 30, 70, 10_000)):
        lengths = choose_lengths(18, "auto", (season, 0), longest)
        assert lengths == Lengths(season, 0, lengths.context, 18)
        assert lengths.context % PATCH_LENGTH == 0
        assert lengths.context < longest + PATCH_LENGTH
        assert longest < 10_000 or lengths.context >= 2 * season
    assert choose_lengths(18, 30, (12, 0), 10).context == 36
    assert choose_lengths(1000, "auto", (24, 168), 500).training_horizon < 1000


def test_roll_out__shrinkage__draws_short_histories_nearer_to_the_beginning_than_long_ones():
    given = windows(3, padded=True)  # of 48, 17 and 3 time points, one of them missing
    free, drawn, new = (
        roll_out(network(shrinkage=value, new=is_new), *given)[1]
        for value, is_new in ((0.0, False), (6.0, False), (0.0, True))
    )
    left = (drawn[:, 0] - new[:, 0]).abs().mean(dim=1) / (free[:, 0] - new[:, 0]).abs().mean(dim=1)
    assert (left.diff() < 0.0).all()
    assert 0.5 < left[0] < 1.0


def test_roll_out__much_shrinkage__is_the_beginning_and_leaves_bands_as_wide_as_they_are():
    given = windows(2)
    outputs, point = roll_out(network(shrinkage=1e9), *given)
    beginning = encode(network(), *given).ahead
    mean = sum(weight * beginning[..., simple_forecasts.NAMES.index(name)] for name, weight in BEGINNING.items())
    torch.testing.assert_close(point, mean, atol=1e-6, rtol=0)
    free = roll_out(network(), *given)[0]
    first = [each[:, 0].sort(dim=-1).values.diff(dim=-1) for each in (outputs, free)]
    torch.testing.assert_close(*first, atol=1e-6, rtol=0)


@pytest.mark.parametrize("head", sorted(HEADS.keys() - {"point"}))
def test_bands__beyond_the_patches_of_training__go_on_growing_for_random_walks_alone(head):
    model, generator = network(head=head, new=True), torch.Generator().manual_seed(0)
    noise = torch.randn(180, generator=generator, dtype=torch.float64)
    stays = noise[:12].repeat(15)  # as far from itself after 48 as after 12 time points
    x = (20.0 + torch.stack([noise.cumsum(dim=0).abs(), stays])).unsqueeze(-1)
    given = x, torch.ones_like(x, dtype=torch.bool), torch.zeros(2, 20 * PATCH_LENGTH, 0, dtype=torch.float64)
    levels, trained = torch.tensor([0.1, 0.3, 0.9], dtype=torch.float64), MOST_PATCHES * PATCH_LENGTH
    for seasons in ((1, 0), (SEASON, 0)):
        window = model.encode(*given, seasons)
        outputs, _ = model.roll_out(window)
        own = model.head.quantiles(outputs, levels, window.scale.spread.unsqueeze(-1)).flatten(1, 2)
        bands = model.bands(window, outputs, levels).flatten(1, 2)
        assert (bands.diff(dim=-1) >= 0).all()
        assert torch.equal(bands[:, :trained], own[:, :trained])
        assert torch.equal(bands[1], own[1])
        wider = (bands[0, :, 2] - bands[0, :, 0]) / (own[0, :, 2] - own[0, :, 0])
        assert (wider >= 1.0).all()
        assert (wider[-1] > 1.4) == (seasons == (1, 0))
    fewer = model.bands(window, outputs[:, :12], levels)
    assert torch.equal(fewer, model.bands(window, outputs, levels)[:, :12])
