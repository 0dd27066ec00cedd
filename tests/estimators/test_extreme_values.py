"""Extreme and dead channels: what is fitted beside them is as good as without, and nothing becomes infinite or NaN."""

import numpy as np
import pytest

from tsformer import TransformerClassifier, TransformerPretrainer

N, T = 40, 40
MOST = np.finfo(np.float64).max
Y = np.arange(N) % 2


def channels():
    """One channel that tells the classes apart, and one of noise."""
    rng = np.random.default_rng(0)
    good = np.sin(np.arange(T) * (0.3 + 0.4 * Y[:, None]) + rng.uniform(0, 6, (N, 1))) + 0.1 * rng.normal(size=(N, T))
    return np.stack([good, rng.normal(size=(N, T))], axis=1), rng


def with_noise(in_fit, later):
    """The noise channel as it is in fit and as it is later: functions of its values and a random state."""
    X, rng = channels()
    first, second = X.copy(), X.copy()
    first[:, 1], second[:, 1] = in_fit(X[:, 1].copy(), rng), later(X[:, 1].copy(), rng)
    return first, second


def steps(level, size):
    return lambda x, rng: level + size * rng.integers(-1, 2, size=x.shape)


def marked(mark):
    return lambda x, rng: np.where(rng.random(x.shape) < 0.1, mark, x)


def same(x, rng):
    return x


def nothing(x, rng):
    return np.full_like(x, np.nan)


KINDS = {
    "dead, then noise": (steps(9.81, np.spacing(9.81)), steps(9.81, 1e-6)),
    "dead in float32, then noise": (steps(np.float32(9.81), np.spacing(np.float32(9.81))), steps(9.81, 1e-3)),
    "constant, then wild": (steps(5.0, 0.0), lambda x, rng: 1e5 * x),
    "missing in fit": (nothing, lambda x, rng: 1e3 * x),
    "missing later": (same, nothing),
    "one huge value": (marked(1.0), lambda x, rng: np.where(np.arange(T) == 3, 1e300, x)),
    "largest number as a mark": (marked(MOST), marked(MOST)),
    "both signs of it": (lambda x, rng: marked(-MOST)(marked(MOST)(x, rng), rng),) * 2,
    "another unit": (lambda x, rng: 1e-12 * x,) * 2,
}
LEVELS = [1e-300, 1e-150, 1e150, 1e300]
MADE = {
    "network": {"pretrained": None, "n_estimators": 1},
    "robust": {"pretrained": None, "n_estimators": 1, "scaling": "robust"},
    "frozen": {"pretrained": "bundled", "n_estimators": 0},
}


def classifier(made):
    width = {"d_model": 16, "n_heads": 2, "n_layers": 1, "d_ff": 16}
    return TransformerClassifier(max_steps=24, learning_rate=1e-2, random_state=0, **width, **MADE[made])


def right(made, in_fit, later):
    clf = classifier(made).fit(in_fit[:26], Y[:26])
    assert np.isfinite(clf.predict_proba(later[26:])).all()
    assert np.isfinite(clf.transform(later[26:])).all()
    return clf.score(later[26:], Y[26:])


@pytest.mark.parametrize("made", MADE)
@pytest.mark.parametrize("kind", KINDS)
def test_classifier__extreme_or_dead_channel__uses_the_other(made, kind):
    assert right(made, *with_noise(*KINDS[kind])) > 0.9


@pytest.mark.parametrize("made", MADE)
@pytest.mark.parametrize("level", LEVELS)
def test_classifier__extreme_level__is_another_unit(made, level):
    X, _ = channels()
    assert right(made, level * X, level * X) > 0.9


@pytest.mark.parametrize("kind", KINDS)
def test_pretrainer__extreme_or_dead_channel__embeds_finitely(kind):
    in_fit, later = with_noise(*KINDS[kind])
    pretrainer = TransformerPretrainer(max_steps=1, batch_size=8, d_model=16, random_state=0).fit(in_fit)
    assert np.isfinite(pretrainer.transform(later)).all()


def test_classifier__channel_that_is_constant_in_fit__has_no_effect():
    in_fit, later = with_noise(*KINDS["constant, then wild"])
    clf = classifier("network").fit(in_fit, Y)
    np.testing.assert_array_equal(clf.predict_proba(in_fit), clf.predict_proba(later))


def test_classifier__many_channels_of_extreme_size__finds_the_one_that_tells():
    X, rng = channels()
    others = np.where(rng.random((N, 30, T)) < 0.5, MOST, -1e300)
    others[:, :10] = 1e-300 * rng.normal(size=(N, 10, T))
    assert right("frozen", *[np.concatenate([others, X], axis=1)] * 2) > 0.9
