"""What a fit on long series takes: the promise of every encoder whose cost is not quadratic in their length."""

import subprocess
import sys

import pytest

from tsformer import TransformerClassifier
from tsformer.models.encoders import ENCODERS

pytest.importorskip("resource")

QUADRATIC = {"transformer", "strided_stem"}  # the latter in tokens of 16 time points
GIBIBYTE = 2**30
FIT = """
import resource, sys
import numpy as np
from tsformer import TransformerClassifier

X, y = np.random.default_rng(0).normal(size=(32, 6, 18_000)), np.arange(32) % 2
TransformerClassifier(encoder=sys.argv[1], max_steps=3, device="cpu", random_state=0).fit(X, y).predict(X)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024))
"""


@pytest.mark.slow
@pytest.mark.parametrize("encoder", sorted(set(ENCODERS) - QUADRATIC))
def test_fit__series_of_18000_points_with_default_settings__stays_under_4_gib(encoder):
    """As EigenWorms has them; a process of its own, because memory that was ever taken counts."""
    fit = subprocess.run([sys.executable, "-c", FIT, encoder], capture_output=True, text=True, check=True)

    assert int(fit.stdout) < 4 * GIBIBYTE


def test_default_encoder__is_one_whose_memory_is_tested():
    assert TransformerClassifier().encoder in set(ENCODERS) - QUADRATIC
