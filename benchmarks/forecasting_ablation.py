"""Leaves parts of the pretraining out, shortly: tables of zero-shot forecasts on validation parts leave.

    python benchmarks/forecasting_ablation.py --data data/forecast --work FOLDER --steps 1000 --seeds 0 1 2

Each variant is pretrained as `scripts/pretrain forecaster` does, from its configuration, for some steps only, and
scored as that script does. Test parts stay closed. FOLDER keeps the runs, by state of the code: a stopped one goes on
when the same command is given again.

- as is: the configuration of the script.
- no simple forecasts: the network sees seasonal lags and the last value only, and starts from seasonal naive.
- teacher forcing only: training never reads its own forecasts.
- half the width: half the width, of attention and feed-forward too.
- no pretraining: new weights, which forecast a fixed mixture of the simple forecasts.

What training from scratch on the data gives instead is "TransformerForecaster(pretrained=None)" of forecasting.py.
"""

import sys
import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pandas as pd
import torch
from commands import short_parser
from machine import code_hash, provenance
from rows import collect
from tables import markdown, number
from torch import Tensor

from tsformer.models import simple_forecasts as simple
from tsformer.training.devices import seeded

sys.path.append(str(Path(__file__).parents[1] / "scripts"))

import pretrain
import pretrain_forecaster

Config = dict[str, Any]

SHOWN = {"lag_1", "lag_2", "lag_3", "lag_long", "last"}  # of the simple forecasts, in "no simple forecasts"
NO_SIMPLE_FORECASTS, NO_PRETRAINING = "no simple forecasts", "no pretraining"
TEACHER_FORCING, HALF = "teacher forcing only", "half the width"
VARIANTS = ("as is", NO_SIMPLE_FORECASTS, TEACHER_FORCING, HALF, NO_PRETRAINING)
CPU = torch.device("cpu")


def main(arguments: Sequence[str] | None = None) -> int:
    """Pretrain and score all variants, write the rows, and print a table."""
    parser = short_parser(__doc__, "forecasting-ablation")
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder of the data sets of forecasting.py")
    add("--work", type=Path, required=True, metavar="FOLDER", help="keeps the runs")
    add("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    add("--seeds", nargs="+", type=int, default=[0])
    add("--steps", type=int, default=1000)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    rows = (
        {"variant": variant, "seed": seed, "steps": options.steps} | scored(variant, seed, options)
        for seed in options.seeds
        for variant in options.variants
    )
    print(table(collect(rows, provenance("cpu"), options.out)))
    return 0


def scored(variant: str, seed: int, options: Any) -> dict[str, float]:
    """Pretrain a variant, unless that is done, and return its scores by data set."""
    config = configuration(variant, seed, options.steps)
    if variant == NO_PRETRAINING:
        sets = pretrain_forecaster.read_sets(config["validation"], [options.data])
        with warnings.catch_warnings(), seeded(seed, CPU):
            warnings.filterwarnings("ignore", message="max_steps=0 leaves new weights")  # that is the question
            return pretrain_forecaster.validate(None, sets, CPU)
    out = options.work / code_hash() / f"{variant.replace(' ', '-')}-{seed}"
    hidden = patch.object(simple, "simple_forecasts", lags_only) if variant == NO_SIMPLE_FORECASTS else nullcontext()
    with hidden:
        state = pretrain.pretrain("forecaster", config, out, folders=[options.data], device=CPU)
    return {name: score for name, score in state["validation"].items() if name != "step"}


def configuration(variant: str, seed: int, n_steps: int) -> Config:
    """Return the configuration of a variant: scored once, at the end."""
    config = pretrain.read_config("forecaster") | {"seed": seed}
    config["training"] |= {"steps": n_steps}
    config["checkpoints"] |= {"validate": n_steps + 1}
    if variant == TEACHER_FORCING:
        config["training"]["scheduled_sampling"] = 0.0
    if variant == HALF:
        config["network"] |= {name: config["network"][name] // 2 for name in ("d_model", "n_heads", "d_ff")}
    return config


def lags_only(*arguments: Any, found: Any = simple.simple_forecasts, **named: Any) -> simple.SimpleForecasts:
    """Forecast by seasonal lags and the last value, with that of a season ago in the place of all others."""
    made: simple.SimpleForecasts = found(*arguments, **named)
    shown = [i if name in SHOWN else simple.NAMES.index("lag_1") for i, name in enumerate(simple.NAMES)]
    nothing: dict[str, Tensor] = {name: torch.zeros_like(part) for name, part in made._asdict().items()}
    return simple.SimpleForecasts(**nothing | {"forecasts": made.forecasts[..., shown]})


def table(rows: pd.DataFrame) -> str:
    """Lay out the errors: a row a variant, means over seeds ± the standard deviation."""
    errors = [name for name in rows.columns[3:] if "coverage" not in name and rows[name].dtype == float]
    groups = rows.groupby("variant", sort=False)[errors]
    means, stds = groups.mean(), groups.std()
    return markdown(means.map(lambda mean: number(mean, 3)) + stds.map(lambda std: number(std, 3, " ± ")))


if __name__ == "__main__":
    sys.exit(main())
