"""Parameters: each estimator's documentation, signature and constraints say the same."""

import ast
import inspect
import re
from dataclasses import fields

import pytest
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import make_constraint

import tsformer
from tsformer.estimators.checks import CasesMixin
from tsformer.params import ParallelParams, TrainingParams, TransformerParams, constraints_of, documents_parameters_of

MIXINS = (TransformerParams, TrainingParams, ParallelParams)
ESTIMATORS = [
    public
    for public in (getattr(tsformer, name) for name in tsformer.__all__)
    if inspect.isclass(public) and issubclass(public, BaseEstimator)
]


def documented(owner: type) -> dict[str, str]:
    """Name and type of each entry of the Parameters section of a docstring."""
    section = re.search(r"^Parameters\n-+\n(.*?)(?=^\w+\n-+\n|\Z)", inspect.getdoc(owner), re.DOTALL | re.MULTILINE)
    return dict(re.findall(r"^(\w+) : (.+)$", section[1], re.MULTILINE))


def defaults(owner: type) -> dict[str, object]:
    return {name: parameter.default for name, parameter in inspect.signature(owner).parameters.items()}


@pytest.mark.parametrize("owner", [*MIXINS, CasesMixin, *ESTIMATORS])
def test_parameters__documentation__has_those_of_the_signature_with_its_defaults(owner):
    assert sorted(documented(owner)) == sorted(defaults(owner))
    written = {name: ast.literal_eval(entry.split("default=")[1]) for name, entry in documented(owner).items()}
    assert written == defaults(owner)
    assert {name: type(value) for name, value in written.items()} == {
        name: type(value) for name, value in defaults(owner).items()
    }


@pytest.mark.parametrize("owner", [*MIXINS, CasesMixin, *ESTIMATORS])
def test_parameters__every_one__has_a_constraint_that_its_default_satisfies(owner):
    assert set(owner._parameter_constraints) == set(defaults(owner))
    for name, default in defaults(owner).items():
        constraints = owner._parameter_constraints[name]
        satisfied = (make_constraint(constraint).is_satisfied_by(default) for constraint in constraints)
        assert constraints == "no_validation" or any(satisfied), name  # as scikit-learn says that fit will check it


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_parameters__estimator__takes_keywords_only_and_has_those_of_get_params(estimator):
    kinds = {parameter.kind for parameter in inspect.signature(estimator).parameters.values()}
    assert kinds == {inspect.Parameter.KEYWORD_ONLY}
    assert estimator().get_params() == defaults(estimator)


def test_mixins__parameters__are_declared_once():
    names = [field.name for mixin in (*MIXINS, CasesMixin) for field in fields(mixin)]
    assert len(names) == len(set(names))


def test_constraints_of__mixins_and_own__are_joined_and_own_ones_win():
    joined = constraints_of(*MIXINS, extra=["boolean"], d_ff=[str])
    assert set(joined) == {"extra", *(name for mixin in MIXINS for name in mixin._parameter_constraints)}
    assert joined["d_ff"] == [str]
    assert TransformerParams._parameter_constraints["d_ff"] != [str]


def test_documents_parameters_of__own_section__comes_first_and_the_rest_stays():
    @documents_parameters_of(*MIXINS)
    class Documented:
        """One line.

        Parameters
        ----------
        own : int, default=1
            What it is.

        Attributes
        ----------
        learned_ : int
            What came of it.
        """

    expected = ["own", *(field.name for mixin in MIXINS for field in fields(mixin))]
    assert list(documented(Documented)) == expected
    docstring = inspect.getdoc(Documented)
    assert docstring.startswith(
        "One line.\n\nParameters\n----------\nown : int, default=1\n    What it is.\nd_model : int"
    )
    assert (
        "one after\n    the other, on one thread.\n\nAttributes\n----------\nlearned_ : int\n    What came of it."
        in docstring
    )


def test_documents_parameters_of__an_estimator_without_some__takes_its_parameters_alone():
    @documents_parameters_of(tsformer.TransformerClassifier, without=["warm_start", "device"])
    class Documented:
        """One line.

        Parameters
        ----------

        Attributes
        ----------
        learned_ : int
            What came of it.
        """

    assert set(documented(Documented)) == set(defaults(tsformer.TransformerClassifier)) - {"warm_start", "device"}
    assert "classes_" not in inspect.getdoc(Documented)
