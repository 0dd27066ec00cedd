import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import tsformer

REPOSITORY = Path(__file__).parents[1]


def test_version__in_package_and_project__agree():
    project = (REPOSITORY / "pyproject.toml").read_text()
    assert re.search(r'^version = "(.*)"$', project, flags=re.MULTILINE).group(1) == tsformer.__version__


def test_public_names__in_all__exist():
    assert all(hasattr(tsformer, name) for name in tsformer.__all__)


def test_import__fresh_process__brings_none_of_the_packages_that_few_need():
    few_need = {"sktime", "aeon", "matplotlib", "onnx", "onnxruntime"}
    program = f"import sys, tsformer; print({few_need} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, check=True, capture_output=True, text=True)
    assert ran.stdout.strip() == "set()"


@pytest.mark.slow
def test_wheel__unpacked_outside_the_repository__loads_its_samples_and_fits(tmp_path):
    build = "from hatchling.build import build_wheel; import sys; print(build_wheel(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", build, str(tmp_path)], cwd=REPOSITORY, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.stat().st_size < 6e6
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    assert (site / "tsformer" / "py.typed").exists()
    shipped = {path.name for path in (site / "tsformer" / "weights").iterdir()}
    assert {"encoder.safetensors", "encoder.json", "forecaster.safetensors"} <= shipped
    program = """
import sys
sys.path.insert(0, sys.argv[1])  # before the checkout that this environment has installed
import tsformer
from tsformer.datasets import load_classification
assert tsformer.__file__.startswith(sys.argv[1]), tsformer.__file__
X, y = load_classification("BasicMotions", split="train")
tsformer.TransformerClassifier(max_steps=2).fit(X, y).predict(X)
print(X.shape)
"""
    ran = subprocess.run(
        [sys.executable, "-c", program, str(site)], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert ran.stdout.strip() == "(40, 6, 100)"
