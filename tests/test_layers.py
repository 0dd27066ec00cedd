"""The layers of the package: what may import what, and how each file opens."""

import ast
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "tsformer"
FILES = sorted(PACKAGE.rglob("*.py"))

# Lowest first; a part imports itself and lower levels only. The parts of one level do not know each other.
# __init__ is the front door: it may import all, and what lies under the estimators must not import from it.
LEVELS = [
    {"params", "layers"},
    {"models", "data"},
    {"training"},
    {"estimators"},
    {"__init__"},
    {"persistence", "datasets", "plotting", "interop", "model_selection", "export"},
    {"__main__"},
]
LEVEL = {part: level for level, parts in enumerate(LEVELS) for part in parts}
THIRD_PARTIES = {"layers": {"torch"}, "training": {"torch", "tqdm"}}


def in_package(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_modules(tree: ast.Module) -> set[str]:
    """Every module imported anywhere in a file; `from tsformer import data` counts as tsformer.data."""
    modules = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names = {alias.name if alias.name in LEVEL else "__init__" for alias in node.names}
            modules |= {f"tsformer.{name}" for name in names} if node.module == "tsformer" else {node.module}
    return modules


def forbidden_imports(part: str, source: str) -> set[str]:
    modules = {tuple(module.split(".")) for module in imported_modules(ast.parse(source))}
    inner = {(*module, "__init__")[1] for module in modules if module[0] == "tsformer"}
    outer = {module[0] for module in modules} - {"tsformer"} - sys.stdlib_module_names
    return {other for other in inner if other != part and LEVEL[other] >= LEVEL[part]} | (
        outer - THIRD_PARTIES.get(part, outer)
    )


@pytest.mark.parametrize("path", [path for path in FILES if path != PACKAGE / "__init__.py"], ids=in_package)
def test_imports__every_file__come_from_lower_levels_only(path):
    assert forbidden_imports(part_of(path), path.read_text()) == set()


@pytest.mark.parametrize(
    ("part", "line", "forbidden"),
    [
        ("layers", "from tsformer.params import TransformerParams", {"params"}),
        ("layers", "import numpy as np", {"numpy"}),
        ("models", "from tsformer.data.batch import Batch", {"data"}),
        ("data", "import tsformer.models.encoders", {"models"}),
        ("data", "def f():\n    from tsformer import training", {"training"}),
        ("training", "from tsformer import TransformerClassifier", {"__init__"}),
        ("estimators", "import tsformer", {"__init__"}),
        ("estimators", "from tsformer.training.loop import train\nimport pandas", set()),
        ("__main__", "from tsformer.persistence import load\nfrom tsformer import __version__", set()),
    ],
)
def test_forbidden_imports__a_line_of_a_part__is_found_when_it_points_up_or_sideways(part, line, forbidden):
    assert forbidden_imports(part, line) == forbidden


@pytest.mark.parametrize("path", FILES, ids=in_package)
def test_docstring__every_file__opens_with_one_sentence(path):
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    assert docstring is not None
    first, _, rest = docstring.partition("\n")
    assert first.endswith(".")
    assert ". " not in first
    assert rest == "" or rest.startswith("\n")
