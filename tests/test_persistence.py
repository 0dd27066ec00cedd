"""Saving and loading: what comes back works as before, and whatever `save` did not write is refused unexecuted."""

import functools
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from archives import rewritten
from estimators.waves import cut, waves
from estimators.waves import small as small_classifier
from forecasts import COVARIATES, long_frame, seen_by_fit, wave, with_covariates
from forecasts import small as small_forecaster
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from tsformer import TransformerClassifier, TransformerDetector, TransformerPretrainer, load, save
from tsformer.datasets import load_classification
from tsformer.models.encoders import ENCODERS
from tsformer.models.encoders.patch import PatchEncoder
from tsformer.models.heads import HEADS

X, y = waves()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


def again(estimator, path, **how):
    save(estimator, path)
    return load(path, **how)


# Pretrainers come back.


@pytest.mark.parametrize("objective", ["contrastive", "reconstruction"])
def test_load__pretrainer__embeds_as_before_and_goes_on(objective, path):
    size = {"n_resampled": 32, "d_model": 16, "n_heads": 2, "n_layers": 1, "d_ff": 16}
    pretrainer = TransformerPretrainer(objective=objective, max_steps=2, random_state=0, device="cpu", **size).fit(X)
    loaded = again(pretrainer, path)
    assert_allclose(loaded.transform(X), pretrainer.transform(X), rtol=0, atol=1e-6)
    assert_array_equal(loaded.get_feature_names_out(), pretrainer.get_feature_names_out())
    assert_allclose(loaded.partial_fit(X).transform(X), pretrainer.partial_fit(X).transform(X), rtol=0, atol=1e-5)


# Classifiers come back.


@pytest.mark.parametrize("encoder", ENCODERS)
def test_load__classifier__predicts_as_before(encoder, path):
    series = cut(X)
    series[0][0, 3] = np.nan
    clf = small_classifier(encoder=encoder, n_estimators=2, max_steps=3, pooling="attention").fit(series, y)
    known = clf.predict_proba(series)
    loaded = again(clf, path)
    assert_allclose(loaded.predict_proba(series), known, rtol=0, atol=1e-6)
    assert_allclose(loaded.transform(series), clf.transform(series), rtol=0, atol=1e-6)
    assert loaded.get_params() == clf.get_params()
    assert loaded.history_ == clf.history_
    assert_array_equal(loaded.n_iter_, clf.n_iter_)


@pytest.mark.parametrize(
    "classes", [["no", "yes"], [-1, 7], [False, True], np.array(["a", "b"], dtype=object)], ids=str
)
def test_load__labels_of_any_type__are_predicted_as_they_were(classes, path):
    clf = small_classifier(max_steps=3).fit(X, np.asarray(classes)[y])
    loaded = again(clf, path)
    assert loaded.classes_.dtype == clf.classes_.dtype
    assert_array_equal(loaded.predict(X), clf.predict(X))


def test_load__after_parameters_were_set_anew__keeps_the_networks_that_were_trained(path):
    clf = small_classifier(max_steps=3, pooling="max", scaling="robust").fit(X, y)
    known = clf.predict_proba(X)
    clf.set_params(d_model=32, n_heads=1, pooling="mean", encoder="patch", scaling="standard", differences=False)
    assert_allclose(again(clf, path).predict_proba(X), known, rtol=0, atol=1e-6)


def test_load__what_scikit_learn_keeps__is_there(path):
    frame = pd.DataFrame(X[:, 0]).add_prefix("t")
    clf = small_classifier(max_steps=3, class_weight={0: 1.0, 1: 2.0}, scaling=["robust"])
    clf = clf.set_output(transform="pandas").fit(frame, y)
    loaded = again(clf, path)
    assert_array_equal(loaded.feature_names_in_, frame.columns)
    assert_frame_equal(loaded.transform(frame), clf.transform(frame))
    with pytest.raises(ValueError, match="feature names should match"):
        loaded.predict(frame.rename(columns={"t0": "other"}))
    assert clone(loaded).class_weight == {0: 1.0, 1: 2.0}


def test_load__classifier_of_a_long_frame__takes_it_and_refuses_other_channels(path):
    times = pd.MultiIndex.from_product([range(len(X)), range(X.shape[2])], names=["person", "t"])
    long = pd.DataFrame(dict(zip("uv", X.swapaxes(0, 1).reshape(2, -1), strict=True)), index=times).reset_index()
    clf = small_classifier(max_steps=3, id_col="person", time_col="t").fit(long, pd.Series(y))
    loaded = again(clf, path)
    assert_allclose(loaded.predict_proba(long), clf.predict_proba(long), rtol=0, atol=1e-6)
    with pytest.raises(ValueError, match="Feature names unseen at fit time"):
        loaded.predict(long.rename(columns={"u": "w"}))


def test_load__random_state_instance__goes_on_with_its_stream(path):
    clf = small_classifier(max_steps=3, random_state=np.random.RandomState(0)).fit(X, y)
    loaded = again(clf, path)
    assert_array_equal(loaded.fit(X, y).predict_proba(X), clf.fit(X, y).predict_proba(X))


@pytest.mark.parametrize("augment", ["standard", None])
def test_load__then_training_on__does_as_the_estimator_itself(augment, path):
    clf = small_classifier(max_steps=3, augment=augment).fit(X, y)
    loaded = again(clf, path)
    for estimator in (clf, loaded):
        estimator.set_params(warm_start=True).fit(X, y)
    assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))
    assert_array_equal(loaded.partial_fit(X, y).predict_proba(X), clf.partial_fit(X, y).predict_proba(X))
    assert_array_equal(clone(loaded).fit(X, y).predict_proba(X), clone(clf).fit(X, y).predict_proba(X))
    assert pickle.loads(pickle.dumps(loaded)).score(X, y) == loaded.score(X, y)


def test_load__optimiser_moments__are_new_ones(path):
    clf = small_classifier(augment=None, batch_size=8).partial_fit(X, y, classes=[0, 1])
    loaded = again(clf, path).partial_fit(X, y)
    assert not np.array_equal(loaded.predict_proba(X), clf.partial_fit(X, y).predict_proba(X))
    assert_array_equal(loaded.n_iter_, clf.n_iter_)


def test_load__callbacks__are_not_kept(path):
    callback = pytest.importorskip("sklearn.callback", reason="scikit-learn before 1.9 has no callbacks")
    clf = small_classifier(max_steps=2).set_callbacks(callback.ScoringMonitor(scoring="accuracy")).fit(X, y)
    loaded = again(clf, path)
    assert_array_equal(loaded.predict(X), clf.predict(X))
    assert not hasattr(loaded, "_skl_callbacks")


def test_load__in_a_new_process__predicts_the_same_and_draws_no_global_random_number(path):
    clf = small_classifier(max_steps=3).fit(X, y)
    save(clf, path)
    np.save(path.with_suffix(".npy"), X)
    program = """
import sys, numpy, torch
from tsformer import load
torch.manual_seed(7)
clf = load(sys.argv[1])
assert torch.rand(1) == torch.rand(1, generator=torch.Generator().manual_seed(7))
numpy.save(sys.argv[3], clf.predict_proba(numpy.load(sys.argv[2])))
"""
    out = path.with_name("out.npy")
    subprocess.run([sys.executable, "-c", program, path, path.with_suffix(".npy"), out], check=True, env=os.environ)
    assert_allclose(np.load(out), clf.predict_proba(X), rtol=0, atol=1e-6)


# Forecasters come back.


def in_zone(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.tz_localize("Europe/Berlin")


FORMS = {
    "Series": wave(),
    "wide": pd.DataFrame({"x": wave(), "z": wave(level=5.0)}),
    "wide of whole numbers": pd.DataFrame({0: wave(), 1: wave()}).round().astype("Int64").reset_index(drop=True),
    "long": long_frame(),
    "long of categories": long_frame().astype({"unique_id": "category"}),
    "MultiIndex": long_frame().set_index(["unique_id", "ds"]),
    "periods": wave().to_period("M"),
    "a zone": wave().tz_localize("Europe/Berlin"),
    "levels of columns": pd.concat(
        {"north": pd.DataFrame({"x": wave()}), "south": pd.DataFrame({"x": wave()})}, axis=1
    ),
}


def works_alike(loaded, forecaster, df):
    def same(method, *args, **how):
        results = [pd.DataFrame(getattr(estimator, method)(*args, **how)) for estimator in (loaded, forecaster)]
        assert_frame_equal(*results, rtol=1e-6)

    same("predict")
    same("predict", df, 9)
    if forecaster.head != "point":
        same("predict", level=[80, 95])
        same("sample", 2)
    same("backtest", df, n_windows=2, step_size=3)
    assert loaded.score(df) == pytest.approx(forecaster.score(df), rel=1e-6)


@seen_by_fit
@pytest.mark.parametrize("form", FORMS)
def test_load__forecaster_of_frames_in_any_form__works_as_before(form, path):
    df = FORMS[form]
    forecaster = small_forecaster(max_steps=3).fit(df)
    loaded = again(forecaster, path)
    works_alike(loaded, forecaster, df)
    assert loaded.freq_ == forecaster.freq_
    assert loaded.lengths_ == forecaster.lengths_


@seen_by_fit
@pytest.mark.parametrize("head", HEADS)
def test_load__forecaster_of_any_head_and_encoder__works_as_before(head, path):
    encoder = dict(zip(HEADS, ENCODERS, strict=False))[head]
    n_windows = int(head != "point")
    forecaster = small_forecaster(max_steps=3, head=head, encoder=encoder, calibration_windows=n_windows)
    forecaster.fit(wave().abs().round())
    works_alike(again(forecaster, path), forecaster, wave().abs().round())


@pytest.mark.parametrize("fill", ["ffill", "interpolate", 0.0])
def test_load__forecaster_of_filled_series__goes_on_by_update_as_it_would_have(fill, path):
    series = wave().where((np.arange(72) < 50) | (np.arange(72) >= 64))  # a gap that begins before the last context
    forecaster = small_forecaster(fill=fill, context_length=12, max_steps=2).fit(series[:-1])
    loaded = again(forecaster, path)
    pd.testing.assert_series_equal(loaded.update(series[-1:]).predict(), forecaster.update(series[-1:]).predict())


def test_load__forecaster_with_its_history__goes_on_by_update_and_training(path):
    first, rest = long_frame().groupby("unique_id").head(36), long_frame().groupby("unique_id").nth[36:38]
    forecaster = small_forecaster(max_steps=3, fill="ffill", freq=pd.offsets.MonthEnd()).fit(first)
    save(forecaster, path, history=True)
    loaded = load(path)
    for estimator in (loaded, forecaster):
        estimator.update(rest)
    assert_frame_equal(loaded.predict(), forecaster.predict())
    save(loaded, path, history=True)
    assert_frame_equal(load(path).predict(), forecaster.predict())
    for estimator in (loaded, forecaster):
        estimator.update(long_frame().groupby("unique_id").nth[38:40], refit=True)
    assert_frame_equal(loaded.predict(), forecaster.predict())
    assert_frame_equal(clone(loaded).fit(first).predict(), clone(forecaster).fit(first).predict())
    with pytest.raises(ValueError, match="is known up to"):
        loaded.update(rest)


@seen_by_fit
@pytest.mark.parametrize("form", ["wide", "long", "panel"])
def test_load__forecaster_with_covariates__works_as_before(form, path):
    df, ahead = with_covariates(form)
    forecaster = small_forecaster(max_steps=3, calendar=True, **COVARIATES).fit(df)
    loaded = again(forecaster, path)
    assert_frame_equal(loaded.predict(future=ahead, level=80), forecaster.predict(future=ahead, level=80))
    assert_frame_equal(loaded.sample(2, future=ahead), forecaster.sample(2, future=ahead))
    assert_frame_equal(loaded.backtest(df), forecaster.backtest(df))
    assert loaded.score(df) == forecaster.score(df)
    with pytest.raises(ValueError, match="The forecaster has future_cols, which must be known for the horizon"):
        loaded.predict()


# Detectors come back.


@seen_by_fit
@pytest.mark.parametrize("form", ["Series", "wide", "long", "MultiIndex", "levels of columns", "array"])
def test_load__detector__scores_bit_for_bit_and_goes_on(form, path):
    df = FORMS[form] if form in FORMS else [wave(80).to_numpy(), wave(60).to_numpy()]
    detector = TransformerDetector(contamination=0.02).fit(df)
    loaded = again(detector, path)
    for method in ("predict", "update", "score_samples"):
        found, expected = (getattr(each, method)(df) for each in (loaded, detector))
        assert method == "update" or pickle.dumps(found) == pickle.dumps(expected)
    assert loaded.channels_ == detector.channels_
    assert loaded.offset_ == detector.offset_
    assert_array_equal(loaded.training_scores_, detector.training_scores_)
    assert clone(loaded).get_params() == detector.get_params()


# Of histories the last context is kept, or all.


@pytest.mark.parametrize("fill", [None, "ffill", "interpolate", 0.0])
def test_save__forecaster__keeps_the_last_context_and_forecasts_bit_for_bit(fill, path):
    values = wave().where(np.arange(72) % 5 != 2)
    forecaster = small_forecaster(max_steps=3, context_length=12, fill=fill).fit(values)
    loaded = again(forecaster, path)
    assert [len(times) for times in loaded.series_.times] == [12]
    assert not loaded.has_history_
    assert forecaster.has_history_
    assert loaded.predict().equals(forecaster.predict())
    assert loaded.predict(level=[80, 95]).equals(forecaster.predict(level=[80, 95]))
    assert loaded.sample(3).equals(forecaster.sample(3))
    for estimator in (loaded, forecaster):
        estimator.update(wave(74)[-2:])
    assert loaded.predict().equals(forecaster.predict())


def test_load__refit_without_the_history__is_refused_with_the_way_out(path):
    forecaster = small_forecaster(max_steps=3, context_length=12).fit(wave())
    loaded = again(forecaster, path)
    before = loaded.predict()
    with pytest.raises(
        ValueError, match=r"refit=True needs all .* tsformer\.save\(forecaster, path, history=True\), or"
    ):
        loaded.update(wave(73)[-1:], refit=True)
    assert loaded.predict().equals(before)
    with pytest.raises(ValueError, match=r"history=True keeps all .* last values only\. Call fit with all rows"):
        save(loaded, path, history=True)
    assert again(loaded.update(wave(73)[-1:]), path).predict().equals(forecaster.update(wave(73)[-1:]).predict())
    assert loaded.fit(wave()).has_history_
    assert loaded.update(wave(73)[-1:], refit=True).predict().notna().all()


def test_save__history__is_kept_whole(path):
    forecaster = small_forecaster(max_steps=3, context_length=12).fit(wave())
    save(forecaster, path, history=True)
    loaded = load(path)
    assert loaded.has_history_
    assert [len(times) for times in loaded.series_.times] == [72]
    for estimator in (loaded, forecaster):
        estimator.update(wave(73)[-1:], refit=True)
    assert loaded.predict().equals(forecaster.predict())


def test_save__history_of_a_classifier__is_refused(path):
    with pytest.raises(
        ValueError, match=r"history=True keeps the histories of a forecaster\. Got a TransformerClassifier"
    ):
        save(small_classifier(max_steps=1).fit(X, y), path, history=True)


@pytest.mark.slow
def test_save__ten_thousand_series__take_less_than_30_mb(path):
    n_series, n_times = 10_000, 1_900
    days = pd.date_range("2020-01-01", periods=n_times)
    index = pd.MultiIndex.from_product([[f"s{i}" for i in range(n_series)], days])
    df = pd.Series(np.random.default_rng(0).normal(size=len(index)), index, name="y")
    save(small_forecaster(max_steps=1, horizon=7).fit(df), path)
    assert path.stat().st_size < 30e6


# Devices.


def test_load__device__replaces_that_of_the_file(path):
    clf = small_classifier(max_steps=3).fit(X, y)
    known = clf.predict_proba(X)
    clf.set_params(device="cuda:99")  # a GPU of another machine
    save(clf, path)
    with pytest.raises(ValueError, match="asks for 'cuda:99'"):
        load(path).predict(X)
    assert load(path, device="cpu").device == "cpu"
    assert_allclose(load(path, device="cpu").predict_proba(X), known, rtol=0, atol=1e-6)
    with pytest.raises(ValueError, match="The 'device' parameter must be"):
        load(path, device="tpu")


# What a file without code cannot hold is told at save.


def nothing(x, observed):
    return x, observed


def with_attribute(estimator, **attributes):
    vars(estimator).update(attributes)
    return estimator


UNSAVEABLE = {
    "not fitted": (lambda: small_classifier(), r"not fitted yet"),
    "a pipeline": (
        lambda: make_pipeline(small_classifier(max_steps=1).fit(X, y)),
        r"save takes an estimator of tsformer, .*, TransformerDetector\. Got Pipeline of sklearn",
    ),
    "a subclass": (
        lambda: type("Mine", (TransformerClassifier,), {})(max_steps=1).fit(X, y),
        r"Got Mine",
    ),
    "a callable encoder": (
        lambda: small_classifier(max_steps=1, encoder=functools.partial(PatchEncoder, patch_length=4)).fit(X, y),
        r"The 'encoder' parameter of TransformerClassifier is a callable, and the file holds no code\. Got .*Name one "
        r"of tsformer\.models\.encoders\.ENCODERS, or use pickle",
    ),
    "a callable encoder, replaced": (
        lambda: small_classifier(max_steps=1, encoder=PatchEncoder).fit(X, y).set_params(encoder="patch"),
        r"The network's 'encoder' cannot be saved: .*or use pickle",
    ),
    "a callable augmentation": (
        lambda: small_classifier(max_steps=1, augment=nothing).fit(X, y),
        r"The 'augment' parameter .* Set it to 'standard' or None, since predictions do not use it",
    ),
    "a further attribute": (
        lambda: with_attribute(small_classifier(max_steps=1).fit(X, y), note_="mine"),
        r"TransformerClassifier has attributes that save does not know: \['note_'\]\. Delete them, or use pickle",
    ),
    "a parameter of another type": (
        lambda: small_classifier(max_steps=1).fit(X, y).set_params(class_weight={0: 1.0, len: 2.0}),
        r"The 'class_weight' parameter of TransformerClassifier cannot be saved: objects of type builtin_function",
    ),
    "an offset without a text": (
        lambda: small_forecaster(max_steps=1, freq=pd.offsets.Easter()).fit(
            wave().set_axis(pd.date_range("1950", periods=72, freq=pd.offsets.Easter()))
        ),
        r"The 'freq' parameter of TransformerForecaster cannot be saved: the frequency .* pandas has no text for it",
    ),
}


@pytest.mark.parametrize("case", UNSAVEABLE)
def test_save__what_cannot_be_kept__is_told_with_the_way_out_and_the_old_file_stays(case, path):
    make, message = UNSAVEABLE[case]
    path.write_text("old")
    with pytest.raises(ValueError, match=message):
        save(make(), path)
    assert [file.read_text() for file in path.parent.iterdir()] == ["old"]


def test_save__augmentation_replaced_as_the_message_says__is_kept(path):
    clf = small_classifier(max_steps=3, augment=nothing).fit(X, y)
    known = clf.predict_proba(X)
    loaded = again(clf.set_params(augment=None), path)
    assert_allclose(loaded.predict_proba(X), known, rtol=0, atol=1e-6)
    assert loaded.model_.networks[0].augment is None


# Files of earlier releases.

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("expected", sorted(GOLDEN.glob("*.json")), ids=lambda path: path.stem)
def test_load__file_of_an_earlier_release__predicts_what_that_release_predicted(expected):
    loaded = load(expected.with_suffix(".safetensors"))
    numbers = json.loads(expected.read_text())
    if isinstance(loaded, TransformerClassifier):
        series, _ = load_classification("JapaneseVowels", split="test")
        assert_allclose(loaded.predict_proba(series[: len(numbers)]), numbers, rtol=0, atol=1e-6)
    else:
        assert_allclose(loaded.predict(level=80), numbers, rtol=1e-6)


def test_golden_files__are_there_for_both_estimators():
    assert {path.stem.split("-")[1] for path in GOLDEN.glob("*.json")} == {"classifier", "forecaster"}


# What `save` did not write is refused.


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "model.safetensors"
    save(small_classifier(max_steps=1).fit(X, y), path)
    return path


def test_load__rewritten_without_a_change__is_loaded(saved, path):
    load(rewritten(saved, path, lambda document, arrays: None))


def put(document, *keys, value):
    *way, last = keys
    for key in way:
        document = document[key]
    document[last] = value


def without_networks(document, arrays):
    document["networks"] = []
    for name in [name for name in arrays if name.startswith("network.")]:
        del arrays[name]


MADE_UP = {
    "a later version": (lambda d, a: put(d, "version", value=2), r"it is of version 2, this tsformer reads version 1"),
    "an unknown class": (lambda d, a: put(d, "class", value="os.system"), r"unknown class 'os\.system'"),
    "a forecaster's class": (lambda d, a: put(d, "class", value="TransformerForecaster"), r"unknown parameters"),
    "an unknown parameter": (lambda d, a: put(d, "parameters", "hook", value=1), r"unknown parameters \['hook'\]"),
    "a wrong parameter": (lambda d, a: put(d, "parameters", "d_model", value="x"), r"The 'd_model' parameter of"),
    "an unknown attribute": (lambda d, a: put(d, "fitted", "predict", value=1), r"unknown fitted attribute 'predict'"),
    "a missing attribute": (lambda d, a: d["fitted"].pop("classes_") and None, r"\['classes_'\] are missing"),
    "an attribute of another type": (
        lambda d, a: put(d, "fitted", "n_channels_", value="2"),
        r"the fitted attribute 'n_channels_' is of type str",
    ),
    "a pickle as a further array": (
        lambda d, a: a.update(more=np.frombuffer(pickle.dumps(print), dtype=np.uint8)),
        r"unknown arrays \['more'\]",
    ),
    "a larger network": (
        lambda d, a: put(d, "networks", 0, "settings", "d_ff", value=10**12),
        r"expected torch\.float32 of shape \(1000000000000, 16\)",
    ),
    "other heads": (lambda d, a: put(d, "networks", 0, "settings", "n_heads", value=3), r"cannot be loaded: .*heads"),
    "an encoder by its path": (
        lambda d, a: put(d, "networks", 0, "settings", "encoder", value="os.system"),
        r"cannot be loaded: KeyError\('os\.system'\)",
    ),
    "other classes": (lambda d, a: put(d, "networks", 0, "settings", "n_classes", value=3), r"cannot be loaded"),
    "classes that the network lacks": (
        lambda d, a: a.update({d["fitted"]["classes_"]["numbers"]["values"]: np.arange(3)}),
        r"the networks are not those of \{'n_classes': 3, 'n_channels': 2\}",
    ),
    "no network": (without_networks, r"the networks are not those of"),
}


@pytest.mark.parametrize("case", MADE_UP)
def test_load__altered_with_right_checksums__is_refused_and_told_why(case, saved, path):
    change, message = MADE_UP[case]
    with pytest.raises(ValueError, match=r"cannot be loaded: .*") as error:
        load(rewritten(saved, path, change))
    assert error.match(message)
    assert error.match("load what this or an earlier tsformer saved")


MADE_UP_DETECTORS = {
    "an attribute of another type": (
        lambda d, a: put(d, "fitted", "offset_", value="-1"),
        r"the fitted attribute 'offset_' is of type str",
    ),
    "no record": (lambda d, a: put(d, "fitted", "normal_", value=3), r"the fitted attribute 'normal_' is of type int"),
    "a missing attribute": (lambda d, a: d["fitted"].pop("offset_") and None, r"\['offset_'\] are missing"),
    "a wrong parameter": (
        lambda d, a: put(d, "parameters", "contamination", value=2),
        r"The 'contamination' parameter",
    ),
    "no network": (without_networks, r"the networks are not an encoder and a forecaster"),
    "a larger network": (
        lambda d, a: put(d, "networks", 0, "settings", "d_ff", value=10**12),
        r"expected torch\.float32 of shape \(1000000000000, ",
    ),
}


@pytest.fixture(scope="module")
def saved_detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "detector.safetensors"
    save(TransformerDetector().fit(wave()), path)
    return path


@pytest.mark.parametrize("case", MADE_UP_DETECTORS)
def test_load__altered_detector__is_refused_and_told_why(case, saved_detector, path):
    change, message = MADE_UP_DETECTORS[case]
    with pytest.raises(ValueError, match=r"cannot be loaded: .*") as error:
        load(rewritten(saved_detector, path, change))
    assert error.match(message)


def test_save__folder_or_none__is_told_by_its_own_name(tmp_path):
    fitted = small_classifier(max_steps=1).fit(X, y)
    with pytest.raises(IsADirectoryError, match=r"is a folder\. Pass the path of a file in it\."):
        save(fitted, tmp_path)
    with pytest.raises(FileNotFoundError, match=r"model cannot be written: there is no folder .*absent\. Make it"):
        save(fitted, tmp_path / "absent" / "model")
    assert not list(tmp_path.iterdir())


def test_save__adapter_of_the_same_name__is_told_by_its_module():
    adapter = type("TransformerClassifier", (), {"__module__": "tsformer.interop.sktime"})()
    with pytest.raises(ValueError, match=r"Got TransformerClassifier of tsformer\.interop\.sktime; .* estimator_ of"):
        save(adapter, "model")
