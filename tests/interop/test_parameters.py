"""The adapters' parameters: those of the wrapped estimators, to clone, set and inspect."""

import inspect
import re

import pytest

import tsformer
import tsformer.interop.sktime as of_sktime

ADAPTERS = [
    (of_sktime.TransformerClassifier, tsformer.TransformerClassifier, {"warm_start", "id_col", "time_col"}),
    (of_sktime.TransformerDetector, tsformer.TransformerDetector, {"id_col", "time_col"}),
    (
        of_sktime.TransformerForecaster,
        tsformer.TransformerForecaster,
        {"warm_start", "n_jobs", "id_col", "time_col", "target_cols", "past_cols", "future_cols", "static_cols"},
    ),
]
try:
    import tsformer.interop.aeon as of_aeon
except ImportError:  # aeon is an extra
    pass
else:
    ADAPTERS += [
        (of_aeon.TransformerClassifier, tsformer.TransformerClassifier, {"warm_start", "n_jobs", "id_col", "time_col"}),
        (of_aeon.TransformerDetector, tsformer.TransformerDetector, {"id_col", "time_col", "freq"}),
    ]
every_adapter = pytest.mark.parametrize(
    ("adapter", "wrapped", "left_out"),
    ADAPTERS,
    ids=[f"{adapter.__module__}.{adapter.__name__}" for adapter, *_ in ADAPTERS],
)


@every_adapter
def test_parameters__defaults__are_those_of_the_wrapped_estimator(adapter, wrapped, left_out):
    expected = {name: value for name, value in wrapped().get_params().items() if name not in left_out}

    assert adapter().get_params() == expected
    assert {name: p.default for name, p in inspect.signature(adapter).parameters.items()} == expected


@every_adapter
def test_parameters__docstring__describes_each_in_the_words_of_the_wrapped_estimator(adapter, wrapped, left_out):
    pattern = re.compile(r"^(\w+) : .+\n(?:    .+\n)+", re.MULTILINE)
    documented, expected = (
        {entry[1]: entry[0] for entry in pattern.finditer(inspect.getdoc(owner).split("\n\nAttributes\n")[0] + "\n")}
        for owner in (adapter, wrapped)
    )

    assert documented == {name: entry for name, entry in expected.items() if name not in left_out}


@every_adapter
def test_parameters__set_cloned_and_shown__are_kept(adapter, wrapped, left_out):
    changed = adapter(max_steps=16).set_params(random_state=3).clone()

    assert changed.get_params() == adapter().get_params() | {"max_steps": 16, "random_state": 3}
    assert re.sub(r"\s+", " ", repr(changed)) == f"{adapter.__name__}(max_steps=16, random_state=3)"


@every_adapter
def test_parameters__unknown_or_left_out__are_refused(adapter, wrapped, left_out):
    for name in {"max_iter", *left_out}:
        with pytest.raises(TypeError, match=rf"^{adapter.__name__}\.__init__\(\) got an unexpected .* '{name}'"):
            adapter(**{name: 1})
        with pytest.raises((TypeError, ValueError), match=name):
            adapter().set_params(**{name: 1})
