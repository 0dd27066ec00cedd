"""Draws 40 series of the generator that pretraining learns from, a picture with the family of each.

python examples/synthetic_series.py [synthetic.png]   (needs matplotlib)
"""

import sys

import torch
from matplotlib import pyplot as plt

from tsformer.data.synthetic import FAMILIES, draw_series


def draw_picture(path: str, n_columns: int = 5, n_rows: int = 8) -> None:
    """Save samples of all families, one after the other, and after them cases of three channels."""
    generator = torch.Generator().manual_seed(0)
    figure, axes = plt.subplots(n_rows, n_columns, figsize=(13, 12), layout="constrained")
    names = [*FAMILIES, *FAMILIES][: n_columns * n_rows]
    for ax, name in zip(axes.flat, names + [None] * (axes.size - len(names)), strict=True):
        families = {name: FAMILIES[name]} if name else None
        case = draw_series(1, 512, 1 if name else 3, generator=generator, families=families)[0]
        ax.plot(case.numpy(), linewidth=0.7)
        ax.set_title(name or "three channels, any families", fontsize=8)
        ax.set_axis_off()
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    draw_picture(sys.argv[1] if len(sys.argv) > 1 else "synthetic.png")
