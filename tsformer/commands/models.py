"""The models of commands: what is asked for in, an estimator, new or saved, out; and what is written of it."""

import argparse
import sys
from pathlib import Path
from typing import Any

import tsformer
from tsformer import plotting
from tsformer.archive import check_place
from tsformer.commands.options import given


def check_written(options: argparse.Namespace) -> None:
    """Check what is to be written, before minutes of training."""
    for place in (getattr(options, name) for name in options.written):
        if isinstance(place, Path):
            check_place(place)
    if (plot := getattr(options, "plot", None)) is not None:
        known = [f".{name}" for name in plotting.require_matplotlib().Figure().canvas.get_supported_filetypes()]
        if plot.suffix.lower() not in known:
            raise ValueError(f"--plot must end in one of {', '.join(sorted(known))}. Got {plot}.")


def loaded(options: argparse.Namespace, *kinds: type) -> Any:
    """Load the model of --load, which must be of one of some classes, and has columns of its own; None without."""
    if options.load is None:
        return None
    if fixed := given(options, options.of_new):
        raise ValueError(
            f"{' and '.join(fixed)} cannot be given with --load: a saved model stays as it was made. Drop "
            f"{'it' if len(fixed) == 1 else 'them'}, or train anew without --load."
        )
    model = tsformer.load(options.load, device=options.device)
    if not isinstance(model, kinds):
        names = " or ".join(kind.__name__ for kind in kinds)
        raise ValueError(
            f"{options.load} holds a {type(model).__name__}, but tsformer {options.command} takes a {names}."
        )
    options.usual = {name: getattr(model, name) for name in options.usual}
    return model


def parameters(options: argparse.Namespace) -> dict[str, Any]:
    """Return the parameters that all new models have."""
    progress = sys.stderr.isatty() and not options.quiet  # in a file its updates would stand one after the other
    common = {"device": options.device, "random_state": options.seed or 0, "verbose": progress}
    return common | ({} if options.max_steps is None else {"max_steps": options.max_steps})


def save(estimator: Any, options: argparse.Namespace) -> None:
    """Save a model where that is asked for."""
    if options.save is not None:
        tsformer.save(estimator, options.save)
        print(f"Saved the {type(estimator).__name__} in {options.save}.")


def draw(figure: Any, path: Path, what: str) -> None:
    """Write a picture."""
    figure.savefig(path, dpi=150)
    print(f"Drew {what} in {path}.")


def listed(scores: dict[str, float]) -> str:
    """Scores in words."""
    return ", ".join(f"{name} {score:.3f}" for name, score in scores.items())
