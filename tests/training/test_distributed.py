"""Training by several processes: two of them, in a gloo group, against one."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import two_processes
from numpy.testing import assert_allclose, assert_array_equal

from tsformer import load
from tsformer.data.batch import Batch, Minibatches
from tsformer.training import distributed

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("group")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    program = [sys.executable, ROOT / "tests" / "two_processes.py", folder / "store"]
    running = [subprocess.Popen([*program, str(rank), folder], env=environment) for rank in (0, 1)]
    try:
        assert [process.wait(timeout=300) for process in running] == [0, 0]
    finally:
        for process in running:
            process.kill()
    return folder


@pytest.fixture(scope="module")
def ranks(folder):
    return [dict(np.load(folder / f"rank{rank}.npz")) for rank in (0, 1)]


def test_fit__two_processes__equal_one_with_the_same_batches(ranks, monkeypatch):
    two_processes.without_chance(monkeypatch)
    alone = two_processes.fit_without_chance()
    assert len(alone) > 60
    for name, values in alone.items():
        assert_allclose(ranks[0][name], values, rtol=0, atol=1e-5, err_msg=name)


def test_fit__two_processes__have_the_same_weights_and_losses(ranks):
    shared = [name for name in ranks[0] if "/" in name]
    assert any(name.startswith("interrupted/") for name in shared)
    for name in shared:
        assert_array_equal(ranks[0][name], ranks[1][name], err_msg=name)


def test_fit__two_processes__draw_random_numbers_of_their_own(ranks):
    n_calls = [len(rank["seen"]) for rank in ranks]
    assert n_calls[0] == n_calls[1]
    assert not set(ranks[0]["seen"]) & set(ranks[1]["seen"])


def test_fit__ctrl_c_in_one_process__ends_both_at_the_same_step(ranks):
    for rank in ranks:
        [message] = rank["told"]
        assert message == "Training interrupted by user after 30 steps."


def test_fit__other_data_in_each_process_or_too_small_batches__is_refused_in_both(ranks):
    for rank in ranks:
        other_data, too_small = rank["refused"]
        assert "must be given the same data" in other_data
        assert "A batch of 1 cases has no share for each of 2 processes" in too_small


def test_save__by_all_processes__is_done_by_the_first(folder, ranks):
    assert not (folder / "saved_by_1.safetensors").exists()
    loaded = load(folder / "saved_by_0.safetensors")
    assert_array_equal(loaded.model_.networks[0].head.weight.detach(), ranks[1]["classifier/networks.0.head.weight"])


def test_torchrun__a_script_that_only_fits__trains_in_one_group(tmp_path):
    script = """
import sys
import numpy as np
import torch.distributed
from tsformer import TransformerClassifier
X, y = np.random.default_rng(0).normal(size=(8, 1, 20)), [0, 1] * 4
how = {"n_estimators": 1, "pretrained": None, "max_steps": 2, "d_model": 8, "n_heads": 1, "device": "cpu"}
clf = TransformerClassifier(**how).fit(X, y)
name = f"{sys.argv[1]}/{torch.distributed.get_rank()}of{torch.distributed.get_world_size()}"
open(name, "w").write(repr(clf.predict_proba(X).tolist()))
"""
    (tmp_path / "fit.py").write_text(script)
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", tmp_path / "fit.py", tmp_path]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, *torchrun], env=environment, check=True, timeout=300)
    assert (tmp_path / "0of2").read_text() == (tmp_path / "1of2").read_text()


def test_shares__no_group__are_the_batches_themselves():
    x = torch.zeros(5, 4, 1)
    batches = list(Minibatches(Batch(x, torch.ones_like(x, dtype=torch.bool)), 2))
    assert all(map(lambda a, b: a is b, distributed.shares(iter(batches), torch.device("cpu")), batches))
