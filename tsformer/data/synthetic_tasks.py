"""Labelled synthetic series to pretrain on: counts, a length and a torch.Generator in, small labelled sets out.

A kind of task is a function (y, n_timepoints, generator) -> series (n_tasks, n_cases, n_timepoints) of the classes y
(n_tasks, n_cases), on the device of the generator; a new one is a function here, its name in KINDS, and how often.
Learning to learn from generated tasks: Hollmann et al. (2023), "TabPFN".
"""

from collections.abc import Callable, Iterable

import torch
from torch import Generator, Tensor

from tsformer.data.draws import (
    coin,
    integers,
    log_uniform,
    normal,
    standardised,
    time_points,
    uniform,
    waves,
)
from tsformer.data.synthetic import FAMILIES
from tsformer.layers.resampling import interpolate

MOST_CLASSES = 5
N_WAVES = 3  # sine waves that make up a warp
CYCLE = 64  # points that the form of a cycle is drawn at
SMOOTH = ("smooth_process", "bumps", "pulses", "sinusoids", "slopes", "rough_process", "trends")
CYCLES = ("smooth_process", "bumps", "pulses", "periodic_process", "beats")
PATTERNS = (*SMOOTH[:6], "chirps", "steps", "beats")
NOISES = ("rough_process", "autoregressions", "coloured_noise", "random_walks", "smooth_process")


def draw_tasks(n_tasks: int, n_cases: int, n_timepoints: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Draw labelled sets of two to five classes of equal size: series (n_tasks, n_cases, T) and classes.

    What tells the classes of a task apart is drawn anew for it, and so is what does not: warps, crops, shifts, noise,
    other processes, trends and sizes.
    """
    y = draw_classes(n_tasks, n_cases, generator)
    often = torch.tensor(list(KINDS.values()), dtype=torch.float32, device=generator.device)
    kinds = torch.multinomial(often, n_tasks, replacement=True, generator=generator)
    x = torch.empty(n_tasks, n_cases, n_timepoints, device=generator.device)
    for number, kind in enumerate(KINDS):
        if len(tasks := (kinds == number).nonzero().flatten()):
            x[tasks] = kind(y[tasks], n_timepoints, generator)
    return disturbed(standardised(x), generator), y


def draw_classes(n_tasks: int, n_cases: int, generator: Generator) -> Tensor:
    """Draw class numbers (n_tasks, n_cases): the classes of a task are of one size, or nearly."""
    n_classes = integers(generator, n_tasks, 1, low=2, high=MOST_CLASSES + 1)
    return uniform(generator, n_tasks, n_cases).argsort(dim=1) % n_classes


def disturbed(x: Tensor, generator: Generator) -> Tensor:
    """Alter series (n_tasks, n, t) by what has nothing to do with their classes, each task by as much as is drawn."""
    n_tasks, n, t = x.shape
    strength = uniform(generator, 2, n_tasks, 1, 1).square()
    x = warped(x, 0.3 * strength[0], 0.4 * strength[1] * coin(generator, n_tasks, 1, 1, probability=0.6), generator)
    turn = integers(generator, n_tasks, n, 1, high=t) * coin(generator, n_tasks, 1, 1, probability=0.1)
    x = x.gather(2, (torch.arange(t, device=x.device) + turn) % t)
    has_more = coin(generator, n_tasks, 1, 1, probability=0.3) * uniform(generator, n_tasks, 1, 1)
    x = x + has_more * background(n_tasks, n, t, generator)
    x = x * torch.exp(0.3 * uniform(generator, n_tasks, 1, 1) * normal(generator, n_tasks, n, 1))
    has_noise = coin(generator, n_tasks, 1, 1) * log_uniform(generator, n_tasks, 1, 1, low=0.005, high=0.7)
    has_trend = coin(generator, n_tasks, 1, 1, probability=0.15) * normal(generator, n_tasks, n, 1)
    return x + has_noise * normal(generator, n_tasks, n, t) + has_trend * (2 * time_points(t, generator) - 1)


def warped(x: Tensor, amplitude: Tensor, crop: Tensor, generator: Generator) -> Tensor:
    """Warp the time of series (n_tasks, n, t) and cut off up to `crop` of it; both are (n_tasks, 1, 1)."""
    n_tasks, n, t = x.shape
    progress = torch.linspace(0.0, 1.0, t, device=x.device)
    wave = torch.pi * torch.arange(1, N_WAVES + 1, device=x.device)
    speed = amplitude.unsqueeze(-1) * uniform(generator, n_tasks, n, 1, N_WAVES, low=-1.0)
    time = progress + (speed * torch.sin(wave * progress.unsqueeze(-1)) / wave).sum(dim=-1)
    cut = crop * uniform(generator, n_tasks, n, 1)
    time = cut * uniform(generator, n_tasks, n, 1) + (1.0 - cut) * time
    flat = x.reshape(-1, t, 1)
    moved, _ = interpolate(flat, torch.ones_like(flat, dtype=torch.bool), (t - 1) * time.clamp(0.0, 1.0).flatten(0, 1))
    return moved.reshape(n_tasks, n, t)


# What the classes of a task differ by


def outlines(y: Tensor, t: int, generator: Generator) -> Tensor:
    """Classes are outlines: unrelated ones, or one from which each class departs a little, somewhere or all over."""
    n_tasks = len(y)
    size = log_uniform(generator, n_tasks, 1, 1, low=0.1, high=2.0)
    own, common = window(n_tasks, MOST_CLASSES, t, generator), window(n_tasks, 1, t, generator)
    where = torch.where(coin(generator, n_tasks, 1, 1), own, common)
    where = torch.where(coin(generator, n_tasks, 1, 1, probability=0.3), 1.0, where)
    near = draw_of_one(n_tasks, 1, t, generator) + size * where * draw_of_one(
        n_tasks, MOST_CLASSES, t, generator, SMOOTH
    )
    apart = draw_of_one(n_tasks, MOST_CLASSES, t, generator)
    return of_class(torch.where(coin(generator, n_tasks, 1, 1, probability=0.3), apart, near), y)


def patterns(y: Tensor, t: int, generator: Generator) -> Tensor:
    """Classes have a pattern of their own somewhere."""
    pattern = draw_patterns(len(y), t, generator)
    return placed(crowd(pattern, y, t, generator), of_class(pattern, y), anywhere(y, generator))


def places(y: Tensor, t: int, generator: Generator) -> Tensor:
    """Classes have a pattern at a time of their own."""
    pattern = draw_patterns(len(y), t, generator)
    where = (y + 0.5) / MOST_CLASSES + 0.04 * normal(generator, *y.shape)
    return placed(crowd(pattern, y, t, generator), same(pattern, y), where)


def sizes(y: Tensor, t: int, generator: Generator) -> Tensor:
    """Classes have a pattern of a size or a sign of their own."""
    pattern = draw_patterns(len(y), t, generator)
    signed = (1 - 2 * (y % 2)) * (1 + 0.5 * (y // 2))
    size = torch.where(coin(generator, len(y), 1), signed, 0.4 + 0.5 * y).unsqueeze(-1)
    return placed(crowd(pattern, y, t, generator), size * same(pattern, y), anywhere(y, generator))


def orders(y: Tensor, t: int, generator: Generator) -> Tensor:
    """Classes have two patterns in an order and at a distance of their own."""
    pattern = draw_patterns(len(y), t, generator)
    gap = pattern.shape[2] / t * (0.3 + 0.5 * y) * (1 - 2 * (y % 2))
    where = uniform(generator, *y.shape, low=0.25, high=0.75)
    x = placed(background(len(y), y.shape[1], t, generator), same(pattern, y), where)
    return placed(x, same(pattern[:, 1:], y), where + gap)


def counts(y: Tensor, t: int, generator: Generator) -> Tensor:
    """Classes have a pattern so many times."""
    pattern = draw_patterns(len(y), t, generator)
    x = crowd(pattern, y, t, generator)
    for number in range(MOST_CLASSES):
        comes = (number <= y).unsqueeze(-1)
        x = placed(x, comes * same(pattern, y), anywhere(y, generator))
    return x


def spectra(y: Tensor, t: int, generator: Generator) -> Tensor:
    """Classes are sums of waves of their own frequencies and sizes, mostly at random phases."""
    n_tasks, n = y.shape
    frequency = log_uniform(generator, n_tasks, 1, 4, low=1.0, high=min(60.0, t / 4)) * apart(n_tasks, 0.6, generator)
    amplitude = torch.exp(0.7 * normal(generator, n_tasks, 1, 4)) * apart(n_tasks, 0.7, generator)
    frequency = of_class(frequency, y) * torch.exp(0.02 * normal(generator, n_tasks, n, 4))
    amplitude = of_class(amplitude, y) * torch.exp(0.15 * normal(generator, n_tasks, n, 4))
    freedom = torch.where(coin(generator, n_tasks, 1, 1, probability=0.7), 1.0, 0.15)
    phase = uniform(generator, n_tasks, 1, 4) + freedom * uniform(generator, n_tasks, n, 4)
    angle = 2 * torch.pi * (frequency.unsqueeze(-1) * time_points(t, generator) + phase.unsqueeze(-1))
    return (amplitude.unsqueeze(-1) * angle.cos()).sum(dim=2)


def processes(y: Tensor, t: int, generator: Generator) -> Tensor:
    """Classes are AR(2) processes of their own memory, pace and wildness, or walks of such steps."""
    n_tasks, n = y.shape
    wild = uniform(generator, n_tasks, 1, 1) * coin(generator, n_tasks, 1, 1)
    wilder = 0.5 * uniform(generator, n_tasks, MOST_CLASSES, 1) * coin(generator, n_tasks, 1, 1)
    noise = normal(generator, n_tasks, n, 2 * t)
    noise = noise * torch.exp(of_class(wild + wilder, y) * normal(generator, n_tasks, n, 2 * t))
    forgetting = log_uniform(generator, n_tasks, 1, 1, low=0.01, high=0.5) * apart(n_tasks, 0.7, generator, 1)
    pace = uniform(generator, n_tasks, 1, 1, low=0.02, high=2.6) * apart(n_tasks, 0.4, generator, 1)
    radius, angle = of_class((1.0 - forgetting).clamp(0.0, 0.995), y), of_class(pace.clamp(0.01, 3.1), y)
    lag = torch.arange(t, device=y.device)
    response = radius**lag * torch.sin(angle * (lag + 1)) / torch.sin(angle)
    x = torch.fft.irfft(torch.fft.rfft(noise, 4 * t) * torch.fft.rfft(response, 4 * t), 4 * t)[..., t : 2 * t]
    x = torch.where(coin(generator, n_tasks, 1, 1, probability=0.25), standardised(x.cumsum(dim=2)), standardised(x))
    swells = 2 * uniform(generator, n_tasks, MOST_CLASSES, 1) * coin(generator, n_tasks, 1, 1, probability=0.4)
    return x * (1 + of_class(swells, y) * window(n_tasks, n, t, generator))


def cycles(y: Tensor, t: int, generator: Generator) -> Tensor:
    """Classes are forms of a cycle, whose phase and pace vary."""
    n_tasks, n = y.shape
    size = log_uniform(generator, n_tasks, 1, 1, low=0.2, high=2.0)
    own = window(n_tasks, MOST_CLASSES, CYCLE, generator)
    form = draw_of_one(n_tasks, 1, CYCLE, generator, CYCLES)
    form = form + size * own * draw_of_one(n_tasks, MOST_CLASSES, CYCLE, generator, CYCLES)
    form = form - (form[..., -1:] - form[..., :1]) * torch.linspace(0, 1, CYCLE, device=y.device)  # it closes
    pace = log_uniform(generator, n_tasks, 1, 1, low=1.0, high=min(20.0, t / 10))
    pace = pace * torch.exp(
        log_uniform(generator, n_tasks, 1, 1, low=0.005, high=0.2) * normal(generator, n_tasks, n, 1)
    )
    one = torch.ones(n_tasks * n, 1, device=y.device)
    wander = waves(3 * uniform(generator, n_tasks * n, 1), one, t, generator).reshape(n_tasks, n, t)
    progress = (1 + 0.2 * uniform(generator, n_tasks, 1, 1) * wander).cumsum(dim=2) / t
    freedom = torch.where(coin(generator, n_tasks, 1, 1, probability=0.7), 1.0, 0.1)
    place = (CYCLE - 1) * ((freedom * uniform(generator, n_tasks, n, 1) + pace * progress) % 1.0)
    before = place.floor().long().clamp(max=CYCLE - 2)
    form, after = of_class(form, y), place - before
    return (1 - after) * form.gather(2, before) + after * form.gather(2, before + 1)


def changes(y: Tensor, t: int, generator: Generator) -> Tensor:
    """Classes turn from one process to another, or change size or level, at a time of their own."""
    n_tasks, n = y.shape
    before, other = (draw_of_one(n_tasks, n, t, generator) for _ in range(2))
    at = of_class(uniform(generator, n_tasks, MOST_CLASSES, 1, low=0.15, high=0.85), y)
    at = at + 0.03 * normal(generator, n_tasks, n, 1)
    steepness = log_uniform(generator, n_tasks, 1, 1, low=8.0, high=200.0)
    changed = torch.sigmoid(steepness * (time_points(t, generator) - at))
    level = 2 * normal(generator, n_tasks, 1, 1) * coin(generator, n_tasks, 1, 1)
    after = torch.where(coin(generator, n_tasks, 1, 1), before, other)
    after = log_uniform(generator, n_tasks, 1, 1, low=0.3, high=3.0) * after + level
    return (1 - changed) * before + changed * after


KINDS: dict[Callable[[Tensor, int, Generator], Tensor], float] = {
    outlines: 6.0,
    **dict.fromkeys((patterns, places, sizes, orders, counts), 0.6),
    **dict.fromkeys((spectra, processes, cycles), 2.0),
    changes: 1.0,
}


# Parts of them


def draw_of_one(n_tasks: int, n: int, t: int, generator: Generator, names: Iterable[str] = tuple(FAMILIES)) -> Tensor:
    """Draw standardised series (n_tasks, n, t), those of a task from one of the named families."""
    families = [FAMILIES[name] for name in names]
    chosen = integers(generator, n_tasks, high=len(families))
    x = torch.empty(n_tasks, n, t, device=generator.device)
    for number, family in enumerate(families):
        if len(tasks := (chosen == number).nonzero().flatten()):
            x[tasks] = standardised(family(len(tasks) * n, t, generator)).reshape(len(tasks), n, t)
    return torch.where(x.any(dim=2, keepdim=True), x, normal(generator, n_tasks, n, t))


def of_class(each: Tensor, y: Tensor) -> Tensor:
    """Take that of its class (n_tasks, n, ...) for each case, from those of all classes (n_tasks, K, ...)."""
    return each.gather(1, y.unsqueeze(-1).expand(-1, -1, each.shape[2]))


def same(each: Tensor, y: Tensor) -> Tensor:
    """Take the first (n_tasks, n, ...) for all cases."""
    return of_class(each, torch.zeros_like(y))


def apart(n_tasks: int, most: float, generator: Generator, n: int = 4) -> Tensor:
    """Draw factors (n_tasks, K, n) about 1 by which classes differ, by so much in one task and less in another."""
    spread = log_uniform(generator, n_tasks, 1, 1, low=0.03, high=most)
    return torch.exp(spread * normal(generator, n_tasks, MOST_CLASSES, n))


def window(n_tasks: int, n: int, t: int, generator: Generator) -> Tensor:
    """Draw bells (n_tasks, n, t) of height 1 and of a twentieth to two fifths of the series."""
    centre = uniform(generator, n_tasks, n, 1)
    width = log_uniform(generator, n_tasks, n, 1, low=0.05, high=0.4)
    return torch.exp(-(2 * (time_points(t, generator) - centre) / width).square())


def background(n_tasks: int, n: int, t: int, generator: Generator) -> Tensor:
    """Draw what patterns lie in (n_tasks, n, t): series of any family, noises twice as often."""
    size = log_uniform(generator, n_tasks, 1, 1, low=0.1, high=1.0)
    return size * draw_of_one(n_tasks, n, t, generator, (*NOISES, *FAMILIES))


def draw_patterns(n_tasks: int, t: int, generator: Generator) -> Tensor:
    """Draw short patterns (n_tasks, K, length) that begin and end at 0, those of a task of one size."""
    length = round(t * log_uniform(generator, 1, low=0.06, high=0.3).item())
    length = max(8, min(length, t // 3))
    gain = log_uniform(generator, n_tasks, 1, 1, low=0.7, high=3.0)
    fade = torch.hann_window(length, periodic=False, device=generator.device).sqrt()
    return gain * fade * draw_of_one(n_tasks, MOST_CLASSES, length, generator, PATTERNS)


def anywhere(y: Tensor, generator: Generator) -> Tensor:
    """Draw places (n_tasks, n)."""
    return uniform(generator, *y.shape)


def crowd(pattern: Tensor, y: Tensor, t: int, generator: Generator) -> Tensor:
    """Draw backgrounds (n_tasks, n, t), in some tasks with a pattern in them that says nothing of the class."""
    x = background(len(y), y.shape[1], t, generator)
    for _ in range(2):
        comes = coin(generator, len(y), 1, 1, probability=0.3)
        x = placed(x, comes * same(pattern[:, 1:], y), anywhere(y, generator))
    return x


def placed(x: Tensor, pattern: Tensor, where: Tensor) -> Tensor:
    """Add patterns (n_tasks, n, length) to series (n_tasks, n, t) at places from 0, the start, to 1 (n_tasks, n)."""
    length = pattern.shape[2]
    start = (where.clamp(0.0, 1.0) * (x.shape[2] - length)).long().unsqueeze(-1)
    return x.scatter_add(2, start + torch.arange(length, device=x.device), pattern)
