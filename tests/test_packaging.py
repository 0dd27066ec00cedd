import pickle
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import tsformer

REPOSITORY = Path(__file__).parents[1]
FEW_NEED = {"sktime", "aeon", "matplotlib", "onnx", "onnxscript", "onnxruntime", "holidays"}


def run_in_fresh_process(program: str) -> str:
    ran = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, check=True, capture_output=True, text=True)
    return ran.stdout.strip()


@pytest.fixture(scope="module")
def answers() -> dict[str, str]:
    """What a single fresh process prints, since each takes seconds to import torch."""
    pickled = pickle.dumps(tsformer.TransformerClassifier(n_estimators=3))
    program = f"""
import pickle, sys
print("unpickled:", pickle.loads({pickled!r}).n_estimators)
import tsformer
print("absent:", hasattr(tsformer, "exports"))
tsformer.export.to_onnx, tsformer.plotting.ForecastDisplay, tsformer.datasets
tsformer.inspection.occlusion, tsformer.model_selection.TemporalSplit
from tsformer import *
print("few need:", {FEW_NEED} & set(sys.modules))

import numpy as np, pandas as pd
X = np.random.default_rng(0).normal(size=(8, 1, 20))
size = {{"d_model": 8, "n_heads": 1, "n_layers": 1, "max_steps": 2}}
TransformerClassifier(**size).fit(X, [0, 1] * 4).partial_fit(X, [0, 1] * 4).predict(X)
TransformerPretrainer(**size, n_resampled=32).fit(X).transform(X)
df = pd.Series(range(60), index=pd.date_range("2020", periods=60, freq="D"))
TransformerForecaster(**size, horizon=3, pretrained=None).fit(df).predict()
print("compiler:", {{"torch._dynamo", "torch._inductor", "sympy"}} & set(sys.modules))
"""
    return dict(line.split(": ", 1) for line in run_in_fresh_process(program).splitlines())


def test_version__in_package_and_project__agree():
    project = (REPOSITORY / "pyproject.toml").read_text()
    assert re.search(r'^version = "(.*)"$', project, flags=re.MULTILINE).group(1) == tsformer.__version__


def test_public_names__in_all__exist():
    assert all(hasattr(tsformer, name) for name in tsformer.__all__)


def test_import__of_all__brings_none_of_the_packages_that_few_need(answers):
    assert answers["few need"] == "set()"


def test_import__of_the_package_alone__reaches_its_modules_when_they_are_used(answers):
    assert answers["absent"] == "False"


@pytest.mark.parametrize(
    "arguments", [["--help"], ["classify", "--help"], [], ["predict"], ["forecast", "x.csv"], ["detect", "x.csv"]]
)
def test_command__help_or_wrong_arguments__answers_before_what_takes_seconds_is_imported(arguments):
    program = f"""
import contextlib, io, sys
from tsformer.__main__ import main
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
    main({arguments})
print({{"numpy", "pandas", "sklearn", "torch"}} & set(sys.modules))
"""
    assert run_in_fresh_process(program) == "set()"


def test_public_names__before_they_are_used__are_listed_and_others_refused():
    program = "import tsformer; print({*tsformer.__all__, 'metrics'} <= set(dir(tsformer)), hasattr(tsformer, 'None'))"
    assert run_in_fresh_process(program) == "True False"


def test_pickle__loaded_in_a_fresh_process__finds_the_estimator_by_itself(answers):
    assert answers["unpickled"] == "3"


def test_first_fits__fresh_process__import_no_compiler(answers):
    assert answers["compiler"] == "set()"


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
