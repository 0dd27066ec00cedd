"""Export to ONNX: graphs in another runtime say what predict says, at any batch, length and pattern of gaps."""

import functools
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from estimators.waves import cut, small, waves
from forecasts import long_frame
from forecasts import small as small_forecaster
from numpy.testing import assert_allclose
from sklearn.pipeline import make_pipeline

from tsformer import TransformerClassifier
from tsformer.datasets import load_classification
from tsformer.export import to_onnx
from tsformer.models.encoders.patch import PatchEncoder
from tsformer.models.frozen import GaussianHead

MISSING = [name for name in ("onnx", "onnxscript", "onnxruntime") if importlib.util.find_spec(name) is None]
needs_onnx = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")
EXAMPLES = Path(__file__).parents[1] / "examples"
CLOSE = {"rtol": 0, "atol": 1e-4}


def panel(series, n_timepoints):
    """Pad series of unequal length as the graph takes them."""
    X = np.full((len(series), len(series[0]), n_timepoints), np.nan)
    for case, values in zip(X, series, strict=True):
        case[:, : values.shape[1]] = values
    return X


def session(path):
    import onnxruntime

    return onnxruntime.InferenceSession(path)


def probabilities(graph, X):
    return graph.run(["probabilities"], {"X": X})[0]


@needs_onnx
@pytest.mark.parametrize(
    "params",
    [
        {"n_estimators": 2},
        *(
            pytest.param(params, marks=pytest.mark.slow)
            for params in (
                {"pretrained": "bundled"},
                {"encoder": "transformer", "pooling": "attention"},
                {"encoder": "gated_two_tower", "pooling": "max"},
                {"encoder": "strided_stem"},
                {"encoder": functools.partial(PatchEncoder, patch_length=7), "differences": False},
            )
        ),
    ],
)
def test_classifier__any_length__gives_the_probabilities_of_predict_proba(params, tmp_path):
    X, y = waves()
    X = X + 1e6  # a level that float32 would not survive
    clf = small(**params).fit(cut(X), y)
    to_onnx(clf, tmp_path / "classifier.onnx")
    graph = session(tmp_path / "classifier.onnx")
    assert graph.get_outputs()[0].type == "tensor(float)"
    assert json.loads(graph.get_modelmeta().custom_metadata_map["classes"]) == clf.classes_.tolist()
    longer = np.concatenate([X, X[:, :, :7]], axis=2)
    longer[0, 1, 3:8] = np.nan
    longer[1, 0] = np.nan
    assert_allclose(probabilities(graph, longer), clf.predict_proba(longer), **CLOSE)
    assert_allclose(probabilities(graph, X[:1]), clf.predict_proba(X[:1]), **CLOSE)
    assert_allclose(probabilities(graph, panel(cut(X), 30)), clf.predict_proba(cut(X)), **CLOSE)


@needs_onnx
@pytest.mark.slow
def test_classifier__gaussian_head__gives_the_probabilities_of_predict_proba(tmp_path):
    X, y = load_classification("JapaneseVowels", split="train")
    clf = TransformerClassifier(n_estimators=0).fit(X[::2], y[::2])
    assert isinstance(clf.model_.frozen.head, GaussianHead)
    to_onnx(clf, tmp_path / "classifier.onnx")
    new = panel(X[1:20], 29)
    assert_allclose(probabilities(session(tmp_path / "classifier.onnx"), new), clf.predict_proba(new), **CLOSE)


@needs_onnx
@pytest.mark.slow
def test_classifier__encoder_of_one_length__takes_shorter_series_padded(tmp_path):
    X, y = waves()
    clf = small(encoder="shifted_window").fit(X, y)
    to_onnx(clf, tmp_path / "classifier.onnx")
    graph = session(tmp_path / "classifier.onnx")
    assert graph.get_inputs()[0].shape[1:] == [2, 30]
    series = cut(X)[1:]
    assert_allclose(probabilities(graph, panel(series, 30)), clf.predict_proba(series), **CLOSE)


@needs_onnx
@pytest.mark.slow  # torch takes half a minute to export one
@pytest.mark.parametrize(
    "params",
    [
        {"n_layers": 2},
        {"head": "student_t"},
        {"head": "point", "encoder": "conv_stem"},
        {"head": "negative_binomial", "encoder": "shifted_window"},
    ],
)
def test_forecaster__loop_of_the_example__gives_the_forecasts_of_predict(params, tmp_path, monkeypatch):
    df = long_frame()
    df["y"] = df["y"].clip(lower=0).round()
    df.loc[[3, 65, 70], "y"] = np.nan
    forecaster = small_forecaster(horizon=20, max_steps=40, **params).fit(df)
    to_onnx(forecaster, tmp_path / "made")
    monkeypatch.syspath_prepend(EXAMPLES)
    from onnx_forecast import forecast

    histories = [rows["y"].to_numpy() for _, rows in df.groupby("unique_id")]
    for horizon in (6, 20):
        ours = forecaster.predict(horizon=horizon)["y"].to_numpy().reshape(3, horizon)
        spread = np.array([[np.nanstd(values)] for values in histories])
        assert_allclose(forecast(tmp_path / "made", histories, horizon) / spread, ours / spread, **CLOSE)
    short = df.groupby("unique_id").tail(5)
    ours = forecaster.predict(short)["y"].to_numpy().reshape(3, 20)
    assert_allclose(forecast(tmp_path / "made", [values[-5:] for values in histories], 20), ours, rtol=1e-4)


@needs_onnx
def test_to_onnx__what_it_cannot_export__is_told(tmp_path):
    X, y = waves()
    with pytest.raises(TypeError, match=r"Got an instance of .*Pipeline; of a search, .* of a Pipeline its last step"):
        to_onnx(make_pipeline(small()).fit(X, y), tmp_path / "x.onnx")
    with pytest.raises(FileNotFoundError, match=r"x\.onnx cannot be written: there is no folder .*absent"):
        to_onnx(small().fit(X, y), tmp_path / "absent" / "x.onnx")
    df = long_frame()
    with pytest.raises(ValueError, match="takes forecasters without covariates"):
        to_onnx(small_forecaster(calendar=True, max_steps=1).fit(df), tmp_path)
    with pytest.raises(ValueError, match="head='tokens'"):
        to_onnx(small_forecaster(head="tokens", max_steps=1).fit(df), tmp_path)
    with pytest.raises(ValueError, match=r"Got n_layers=0\."):
        to_onnx(small_forecaster(n_layers=0, max_steps=1).fit(df), tmp_path)


def test_to_onnx__without_onnx__names_the_remedy(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"^Export needs onnx and onnxscript: pip install onnx onnxscript onnxrunti"):
        to_onnx(None, "")
