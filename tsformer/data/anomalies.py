"""What is odd about a series: scores and scaled values enter, intervals, their kinds and what is normal there leave.

Where an interval begins and ends, and what kind it is, is told by comparison with normal courses: those of times whose
values before and after were about the same.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tsformer.data.courses import Courses, Indices, distances, lowest
from tsformer.data.rows import Floats

SPIKE, LEVEL, FLAT, AMPLITUDE = "spike", "level shift", "flat", "changed amplitude"
PHASE, NOISE, SHAPE = "missing or doubled cycle", "noise", "changed shape"
KINDS = (SPIKE, LEVEL, FLAT, AMPLITUDE, PHASE, NOISE, SHAPE)

REACH = 1  # windows by which scores above the threshold may reach beyond what is odd
N_COURSES = 20
FEWEST_BESIDE = 16  # points before and after that are compared
LONGEST_ZONE = 16  # windows: what lasts longer is told by its beginning
ENOUGH_BESIDE = 0.25  # fraction of them that must be normal, for what is not to be left out
STRAYING, FARTHEST = 1.5, 6.0  # usual residuals: what lies outside the usual, and what more counts no more
SMALLEST = 1e-3  # usual residual
TINY = 1e-6  # usual steps and jags
FLAT_STEPS = 0.35  # of the smallest usual steps
JAGGED, SPIKED, SURELY_SPIKED = 1.2, 1.5, 2.0  # of the largest usual jags: of a run, of a point, of a point for sure
FEWEST_JAGS = 4  # of noise
EXPLAINED, BY_LEVEL = 0.5, 0.75  # of the squared residuals: in general, and by a level shift
OF_A_SPIKE = 0.3
CLEARLY = 0.03  # more explained
CONSTANT = 0.15  # std of what is flat, of the usual
SAME_AMPLITUDE, UPSIDE_DOWN = 0.2, -0.95  # changes of the amplitude
JITTER = 0.1  # of a period
JUMP = 0.5  # of the distance without a jump
BEST = 3  # courses that count in any case
NOT_FARTHER = 3.0  # than the mean of the best: squared distances of others
FINEST = 150  # places where a segment may begin or end


class Texture(NamedTuple):
    """How much a normal channel varies from point to point."""

    run: int  # points of which means are taken
    steps: float  # low mean of a run
    jags: float  # high mean of a run; a jag is how far a point lies from the middle of its neighbours
    jag: float  # high single one


class Usual(NamedTuple):
    """What is known of normal series."""

    courses: Courses
    textures: list[Texture]  # of each channel
    length: int  # points of a window
    period: int  # 1 for none


class Zone(NamedTuple):
    """Surroundings of an anomaly and what is normal there."""

    start: int
    values: Floats  # (m, C), NaN = missing
    courses: Floats  # (k, m, C)

    @property
    def end(self) -> int:
        """The point after the last one."""
        return self.start + len(self.values)

    @property
    def expected(self) -> Floats:
        """The median (m, C) of the courses."""
        median: Floats = np.median(self.courses, axis=0)
        return median

    @property
    def band(self) -> Floats:
        """Where eight of ten courses lie (2, m, C)."""
        quantiles: Floats = np.quantile(self.courses, [0.1, 0.9], axis=0)
        return quantiles


class Piece(NamedTuple):
    """Points of a zone, or of a series, in one channel and what is odd about them; `weight` tells how much so."""

    kind: str
    start: int
    end: int  # the point after the last one
    channel: int
    weight: float = 0.0


class Anomaly(NamedTuple):
    """An interval that is not as usual."""

    kind: str
    start: int
    end: int  # the point after the last one
    channel: int
    score: float
    at: int  # where values stray most
    zone: Zone
    similar: int  # point of the normal courses at which the most similar window begins, -1 for none


def learn_usual(courses: Courses, length: int, period: int) -> Usual:
    """Measure what normal courses are like."""
    return Usual(courses, [_texture(channel, length) for channel in courses.values.T], length, period)


class Odd(NamedTuple):
    """Points whose scores lie above the threshold, in one channel, or in none but in all together (None)."""

    channel: int | None
    start: int  # of the core, around the highest score
    end: int
    first: int  # point above the threshold
    last: int  # the point after the last one above it
    score: float


def find_anomalies(rows: Floats, scores: Floats, alone: Floats, threshold: float, usual: Usual) -> list[Anomaly]:
    """Explain where scores of scaled rows (T, C) lie above a threshold, in the order of time.

    These are scores of all channels together (T,), and of each alone (T, C).
    """
    is_odd = alone > threshold
    found = [_explained(rows, is_odd, odd, usual) for odd in _odd_stretches(scores, alone, threshold, usual.length)]
    kept: list[Anomaly] = []
    for one in sorted(found, key=lambda anomaly: -anomaly.score):
        if not any(_are_same(one, other, usual.length) for other in kept):
            kept.append(one)
    return sorted(kept, key=lambda anomaly: anomaly.start)


def _odd_stretches(scores: Floats, alone: Floats, threshold: float, length: int) -> list[Odd]:
    """Find what is odd in each channel, and what is so in all together but in none."""
    gap = max(2, length // 4)
    found = [
        Odd(channel, *core(own, start, end, threshold), start, end, float(np.nanmax(own[start:end])))
        for channel, own in enumerate(alone.T)
        for start, end in stretches(own > threshold, gap)
    ]
    is_odd: NDArray[np.bool_] = np.any(alone > threshold, axis=1)
    together = [
        Odd(None, *core(scores, start, end, threshold), start, end, float(np.nanmax(scores[start:end])))
        for start, end in stretches(scores > threshold, gap)
        if not is_odd[start:end].any()
    ]
    return found + together


def _are_same(one: Anomaly, other: Anomaly, length: int) -> bool:
    """Tell whether two anomalies are one: in one channel, or of about the same beginning or end.

    Another channel may be odd while a change in this one lasts.
    """
    if one.start >= other.end or other.start >= one.end:
        return False
    near = min(abs(one.start - other.start), abs(one.end - other.end)) < length
    return one.channel == other.channel or near


def stretches(is_odd: NDArray[np.bool_], gap: int) -> list[tuple[int, int]]:
    """Beginnings and ends of what is odd (T,), gaps of at most so many points closed."""
    edges = np.diff(np.r_[False, is_odd, False].astype(int))
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    apart = starts[1:] - ends[:-1] > gap
    some = np.full(min(1, len(starts)), True)
    return list(zip(starts[np.r_[some, apart]].tolist(), ends[np.r_[apart, some]].tolist(), strict=True))


def core(scores: Floats, start: int, end: int, threshold: float) -> tuple[int, int]:
    """Narrow a stretch down to the points around the highest score that are at least half as high."""
    part = np.nan_to_num(scores[start:end], nan=-np.inf)
    at = int(part.argmax())
    is_low = part < max(threshold, part[at] / 2)
    before, after = np.flatnonzero(is_low[:at]), np.flatnonzero(is_low[at:])
    return start + (int(before[-1]) + 1 if len(before) else 0), start + (
        at + int(after[0]) if len(after) else len(part)
    )


def _explained(rows: Floats, is_odd: NDArray[np.bool_], odd: Odd, usual: Usual) -> Anomaly:
    channels = range(rows.shape[1]) if odd.channel is None else [odd.channel]
    zone = _zone(rows, is_odd, odd, usual)
    residuals = _in_usual_ones(zone)
    piece = _by_texture(rows, zone, residuals, usual, channels)
    if piece is None:
        jumped = _after_a_jump(rows, zone, usual, channels)
        if jumped is None:
            piece = _by_residuals(zone, residuals, odd, usual, channels)
        else:
            zone, piece = jumped
            residuals = _in_usual_ones(zone)
    piece = piece._replace(end=_end_of(piece, zone, odd, len(rows), usual.length))
    surely = odd.first + REACH * usual.length, odd.last - REACH * usual.length
    if odd.last == len(rows):
        surely = surely[0], odd.last
    if piece.kind != SPIKE and surely[0] < surely[1]:  # scores reach beyond what is odd, but no farther
        piece = piece._replace(start=min(piece.start, surely[0]), end=max(piece.end, surely[1]))
    start, end = max(0, piece.start), min(len(rows), piece.end)
    inside = np.abs(residuals[max(0, start - zone.start) : max(1, end - zone.start), piece.channel])
    at = max(start, zone.start) + (int(inside.argmax()) if len(inside) else 0)
    similar = _most_similar(rows, start, end, usual)
    return Anomaly(piece.kind, start, end, piece.channel, odd.score, min(at, end - 1, zone.end - 1), zone, similar)


def _end_of(piece: Piece, zone: Zone, odd: Odd, n_timepoints: int, length: int) -> int:
    """Where what is odd up to the end of its zone ends: with the scores, which fall half a window later."""
    last = odd.last if odd.last == n_timepoints else odd.last - length // 2
    return max(piece.end, last) if piece.end >= zone.end else piece.end


def _most_similar(rows: Floats, start: int, end: int, usual: Usual) -> int:
    """Where a normal window begins that is most like the one around an interval."""
    begin = min(max(0, (start + end - usual.length) // 2), max(0, len(rows) - usual.length))
    found = lowest(distances(usual.courses, rows[begin : begin + usual.length]), 1, 1)
    return int(found[0]) if len(found) else -1


# What is normal there


def _zone(rows: Floats, is_odd: NDArray[np.bool_], odd: Odd, usual: Usual) -> Zone:
    """Find what is normal around a core by what comes before and after, a window on each side.

    What is odd (T, C) there as well does not count, if there is enough beside it.
    """
    start, end = _bounds(odd, len(rows), usual)
    beside = min(max(usual.length, FEWEST_BESIDE), (usual.courses.longest - (end - start)) // 2)
    first, last = max(0, start - beside), min(len(rows), end + beside)
    is_beside = np.full((last - first, 1), True)
    is_beside[start - first : end - first] = False
    is_normal = is_beside & ~is_odd[first:last] & ~np.isnan(rows[first:last])
    enough = is_normal.sum() >= ENOUGH_BESIDE * is_beside.sum() * rows.shape[1]
    query = np.where(is_odd[first:last] & enough, np.nan, rows[first:last])
    found = distances(usual.courses, query, is_normal if enough else is_beside)
    apart = max(1, (usual.period if usual.period > 1 else end - start) // 2)
    places = _like_best(found, apart)
    if not len(places):  # nothing is known beside it
        places = lowest(
            np.where(np.isfinite(distances(usual.courses, np.zeros_like(query))), 0.0, np.inf), apart, N_COURSES
        )
    courses = usual.courses.values[places[:, None] + np.arange(len(query))]
    inner = slice(start - first, end - first)
    return Zone(start, rows[start:end], courses[:, inner] + _lifts(query, courses, inner))


def _bounds(odd: Odd, n_timepoints: int, usual: Usual) -> tuple[int, int]:
    """Where the zone of a core begins and ends: a window beside it, if courses are long enough.

    If not, the end is cut, as a core begins half a window before what is odd; of less than two windows both sides are.
    """
    room = min(usual.courses.longest // 2, LONGEST_ZONE * usual.length)
    start, end = odd.start - usual.length, odd.end + usual.length
    start += min(max(0, end - start - room) // 2, max(0, 2 * usual.length - room))
    start = max(0, start)
    return start, min(n_timepoints, end, start + room)


def _like_best(found: Floats, apart: int) -> Indices:
    """Positions of the lowest distances that lie apart, those left out that are much farther than the best."""
    places = lowest(found, apart, N_COURSES)
    limit = NOT_FARTHER * found[places[:BEST]].mean() if len(places) else 0.0
    return places[(np.arange(len(places)) < BEST) | (found[places] <= limit)]


def _lifts(query: Floats, courses: Floats, inner: slice) -> Floats:
    """Lines (k, m, C) from how much a query (n, C) is above each course before the inner part to how much after it."""
    differences = query - courses
    before, after = (_medians(side) for side in (differences[:, : inner.start], differences[:, inner.stop :]))
    before, after = np.where(np.isnan(before), after, before), np.where(np.isnan(after), before, after)
    before, after = np.nan_to_num(before), np.nan_to_num(after)
    way = np.linspace(0.0, 1.0, inner.stop - inner.start)[:, None]
    lifts: Floats = before[:, None] * (1.0 - way) + after[:, None] * way
    return lifts


def _medians(side: Floats) -> Floats:
    """Medians (k, C) of differences (k, n, C), which other anomalies beside do not move; NaN where none is known."""
    is_known: NDArray[np.bool_] = np.any(~np.isnan(side), axis=1)
    if not is_known.any():
        return np.full(is_known.shape, np.nan)
    return np.where(is_known, np.nanmedian(np.where(is_known[:, None], side, 0.0), axis=1), np.nan)


def _usual_residuals(zone: Zone) -> Floats:
    """How far normal courses usually lie from what is expected (m, C), like a std."""
    n = len(zone.courses)
    usual = np.abs(zone.courses - zone.expected).mean(axis=0) * np.sqrt(np.pi / 2.0 * n / max(1, n - 1))
    floor: Floats = np.maximum(usual, np.maximum(0.5 * np.median(usual, axis=0), SMALLEST))
    return floor


def _in_usual_ones(zone: Zone) -> Floats:
    """How far values lie from what is expected (m, C), in usual residuals; 0 where they are missing."""
    residuals: Floats = np.nan_to_num(zone.values - zone.expected) / _usual_residuals(zone)
    return residuals


# By texture: flat, noise, spike


def _texture(channel: Floats, length: int) -> Texture:
    run = min(max(length // 4, 5), 16, len(channel) - 1)
    steps, jags = np.abs(np.diff(channel)), _jags(channel)
    return Texture(
        run,
        max(float(np.quantile(_means(steps, run), 0.002)), TINY),
        max(float(_means(jags, run).max()), TINY),
        max(float(np.quantile(jags, 0.999)), TINY),
    )


def _jags(channel: NDArray[np.floating]) -> Floats:
    """How far each point (T,) lies from the middle of its neighbours."""
    jags: Floats = np.pad(np.abs(channel[1:-1] - (channel[:-2] + channel[2:]) / 2.0), 1)
    return jags


def _means(values: Floats, width: int) -> Floats:
    sums = np.pad(values, (1, 0)).cumsum()
    means: Floats = (sums[width:] - sums[:-width]) / width
    return means


def _by_texture(rows: Floats, zone: Zone, residuals: Floats, usual: Usual, channels: Sequence[int]) -> Piece | None:
    """What tells by itself: a flat stretch, else noise, else a spike."""
    found = []
    for c in channels:
        texture = usual.textures[c]
        piece = _textured(rows, c, zone.start, zone.end, texture)
        if piece is None:
            continue
        if piece.kind == SPIKE:
            energy = np.square(residuals[:, c])
            inside = energy[max(0, piece.start - 1 - zone.start) : piece.end + 1 - zone.start].sum()
            if piece.weight < SURELY_SPIKED and inside < OF_A_SPIKE * energy.sum():
                continue
        else:
            far = usual.length * 8  # it may go on outside
            wide = _textured(rows, c, max(0, zone.start - far), min(len(rows), zone.end + far), texture)
            if wide and wide.kind == piece.kind and wide.start < piece.end and piece.start < wide.end:
                piece = wide
        found.append(piece)
    order = (SPIKE, NOISE, FLAT)
    return max(found, key=lambda piece: (order.index(piece.kind), piece.weight), default=None)


def _textured(rows: Floats, channel: int, start: int, end: int, texture: Texture) -> Piece | None:
    values = pd.Series(rows[start:end, channel])
    known = values.notna().to_numpy()
    if known.sum() <= texture.run:
        return None
    y = values.interpolate(limit_direction="both").to_numpy()
    steps, jags = np.abs(np.diff(y)), np.where(known, _jags(y), 0.0)
    steps = np.where(known[1:] & known[:-1], steps, texture.steps)
    first, last, gain = _best(1.0 - np.minimum(steps / (FLAT_STEPS * texture.steps), 4.0))
    if texture.steps > TINY and last - first >= texture.run:  # else flat is usual
        return Piece(FLAT, start + first, start + last + 1, channel, gain)
    high = np.flatnonzero(jags > SPIKED * texture.jag)
    first, last, gain = _best(np.minimum(jags / (JAGGED * texture.jags), 3.0) - 1.0)
    if last - first >= texture.run and ((high >= first) & (high < last)).sum() >= FEWEST_JAGS:
        return Piece(NOISE, start + first, start + last, channel, gain)
    at = int(jags.argmax())
    if len(high) and np.abs(high - at).max() <= 2 and abs(y[at + 1] - y[at - 1]) < jags[at]:
        return Piece(SPIKE, start + at, start + at + 1, channel, float(jags[at] / texture.jag))
    return None


def _best(gains: Floats) -> tuple[int, int, float]:
    """The segment of the highest sum: start, end, sum."""
    sums = np.r_[0.0, gains.cumsum()]
    lowest_before = np.minimum.accumulate(sums[:-1])
    end = int((sums[1:] - lowest_before).argmax()) + 1
    start = int(sums[:end].argmin())
    return start, end, float(sums[end] - sums[start])


# By what comes after: missing or doubled cycle


def _after_a_jump(rows: Floats, zone: Zone, usual: Usual, channels: Sequence[int]) -> tuple[Zone, Piece] | None:
    """What was expected after what came before, if in some channels what comes after fits that at another time only."""
    period, m = usual.period, zone.end - zone.start
    before, after = rows[max(0, zone.start - period) : zone.start], rows[zone.end : zone.end + period]
    if period == 1 or min(len(before), len(after)) < period // 2:
        return None
    half, values = period // 2, usual.courses.values
    is_wanted = np.isin(np.arange(rows.shape[1]), channels)
    as_before, as_after = (distances(usual.courses, side, is_wanted) for side in (before, after))
    follow = np.arange(len(as_before)) + len(before) + m  # where what comes after is expected
    as_before[(follow < half) | (follow + half >= len(as_after))] = np.inf
    places = _like_best(as_before, half) + len(before)
    if len(places) < BEST:
        return None
    offsets = np.arange(-half, half + 1)
    fits = np.sort(as_after[places[:, None] + m + offsets], axis=0)[:BEST].mean(axis=0)
    jitter = max(2, int(JITTER * period))
    offset = int(offsets[fits.argmin()])
    if abs(offset) <= jitter or not fits.min() < JUMP * fits[np.abs(offsets) <= jitter].min():
        return None
    expected = values[places[:, None] + np.arange(m)]
    later = values[(places[:, None] + offset + np.arange(m)).clip(0, len(values) - 1)]
    residuals = [(zone.values - np.median(c, axis=0))[:, is_wanted] for c in (expected, later)]
    wrong = [np.nan_to_num(np.square(each)).sum(axis=1) for each in residuals]
    costs = np.r_[0.0, wrong[0].cumsum()] + np.r_[wrong[1][::-1].cumsum()[::-1], 0.0]
    seam, size = zone.start + min(int(costs.argmin()), m - 1), abs(offset)
    jumped = zone._replace(courses=expected)
    straying = np.abs(_in_usual_ones(jumped)).mean(axis=0)
    channel = max(channels, key=lambda c: float(straying[c]))
    # What is left out begins and ends at the seam, what is repeated begins there: a period does not tell them apart.
    return jumped, Piece(PHASE, seam - size // 4, seam + size - size // 4, channel)


# By residuals: spike, flat, changed amplitude, level shift, changed shape


def _by_residuals(zone: Zone, residuals: Floats, odd: Odd, usual: Usual, channels: Sequence[int]) -> Piece:
    """Find the simplest change that makes what is seen of what is expected, in the channel that strays most."""
    segments = {c: _best(np.minimum(np.abs(residuals[:, c]), FARTHEST) - STRAYING) for c in channels}
    channel = max(segments, key=lambda c: segments[c][2])
    first, last, gain = segments[channel]
    energy, least = np.square(residuals[:, channel]), max(3, usual.length // 5)
    expected, weights = zone.expected[:, channel], 1.0 / _usual_residuals(zone)[:, channel]
    level = _scaled(residuals[:, channel], weights, least)
    amplitude = _scaled(residuals[:, channel], weights * (expected - expected.mean()), least)
    by_level, by_amplitude = (each.gain / max(energy.sum(), 1e-12) for each in (level, amplitude))

    def piece(kind: str, start: int, end: int) -> Piece:
        return Piece(kind, zone.start + start, zone.start + end, channel)

    if gain > 0.0 and last - first <= 2 and energy[first:last].sum() > EXPLAINED * energy.sum():
        return piece(SPIKE, first, last)
    for start, end in ((first, last), (level.start, level.end)):
        if gain > 0.0 and end - start > least and _is_constant(zone, start, end, channel):
            return piece(FLAT, start, end)
    if by_amplitude > max(by_level + CLEARLY, EXPLAINED):
        if amplitude.factor > SAME_AMPLITUDE or UPSIDE_DOWN < amplitude.factor < -SAME_AMPLITUDE:
            return piece(AMPLITUDE, amplitude.start, amplitude.end)
    elif by_level > BY_LEVEL:
        return piece(LEVEL, level.start, level.end)
    start, end = odd.start - zone.start, odd.end - zone.start
    return piece(SHAPE, min(first, start), max(last, end)) if gain > 0.0 else piece(SHAPE, start, end)


def _is_constant(zone: Zone, start: int, end: int, channel: int) -> bool:
    usual = np.median(zone.courses[:, start:end, channel].std(axis=1))
    values = zone.values[start:end, channel]
    return bool((~np.isnan(values)).any() and np.nanstd(values) < CONSTANT * usual)


class Scaled(NamedTuple):
    """A segment where residuals are a multiple of something, by which factor, and how much that explains."""

    start: int
    end: int
    factor: float
    gain: float


def _scaled(residuals: Floats, by: Floats, least: int) -> Scaled:
    """Find the segment, of at least so many points, of residuals (m,) that a multiple of `by` (m,) explains most of."""
    at = np.arange(0, len(by) + 1, max(1, len(by) // FINEST))
    products, squares = (np.r_[0.0, each.cumsum()][at] for each in (residuals * by, by * by))
    product, square = (np.subtract.outer(sums, sums).T for sums in (products, squares))
    allowed = (square > 1e-12) & (at >= at[:, None] + least)
    gains = np.where(allowed, np.square(product) / np.maximum(square, 1e-12), 0.0)
    i, j = np.unravel_index(int(gains.argmax()), gains.shape)
    return Scaled(int(at[i]), int(at[j]), float(product[i, j] / max(square[i, j], 1e-12)), float(gains[i, j]))
