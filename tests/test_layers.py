"""The structure of the package: what may import or use what, how large a function is, and how each file opens."""

import ast
import graphlib
import sys
from pathlib import Path

import numpy as np
import pytest

from tsformer import TransformerClassifier

PACKAGE = Path(__file__).parents[1] / "tsformer"
FILES = sorted(PACKAGE.rglob("*.py"))

# Lowest first; a part imports itself and lower levels only. The parts of one level do not know each other.
# __init__ is the front door: it may import all, and what lies under the estimators must not import from it.
LEVELS = [
    {"params", "layers"},
    {"models", "data"},
    {"metrics", "training"},
    {"archive"},
    {"estimators"},
    {"__init__"},
    {"inspection", "datasets", "model_selection"},
    {"persistence", "plotting", "interop", "export"},
    {"commands"},
    {"__main__"},
]
LEVEL = {part: level for level, parts in enumerate(LEVELS) for part in parts}
# Private names that named tuples, scikit-learn, torch and Python mean for others, or that have no public like.
GIVEN_NAMES = {"_replace", "_asdict", "_fields", "_validate_params", "_init_callback_context"}
GIVEN_NAMES |= {"_buffers", "_foreach_lerp_", "_getframe"}
MAX_METHODS, MAX_LINES, MAX_PARAMETERS = 15, 50, 8
THIRD_PARTIES = {"layers": {"torch"}, "training": {"torch", "joblib", "tqdm", "numpy", "scipy", "sklearn"}}


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_name(path): path.read_text() for path in FILES}


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
        ("archive", "from tsformer.estimators.classifier import TransformerClassifier", {"estimators"}),
        ("estimators", "import tsformer", {"__init__"}),
        ("estimators", "from tsformer.training.loop import train\nimport pandas", set()),
        ("__main__", "from tsformer.persistence import load\nfrom tsformer import __version__", set()),
    ],
)
def test_forbidden_imports__a_line_of_a_part__is_found_when_it_points_up_or_sideways(part, line, forbidden):
    assert forbidden_imports(part, line) == forbidden


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def imported_names(tree: ast.Module) -> list[tuple[str, str]]:
    """The module and the name of everything imported from tsformer; the name is empty for a module as such."""
    nodes = list(ast.walk(tree))
    found = [(alias.name, "") for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    found += [
        (str(node.module), alias.name) for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names
    ]
    return [(module, name) for module, name in found if module.split(".")[0] == "tsformer"]


def foreign_private_names(package: str, source: str) -> set[str]:
    """Private names that a file in `package` takes from other files; private files of its package are its own."""
    tree = ast.parse(source)
    own, used = set(GIVEN_NAMES), set()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.Name(id=name, ctx=ast.Store()):
                own.add(name)
            case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
                own.add(name)
            case ast.Dict(keys=keys):  # fitted attributes, kept by keep_fitted
                own |= {key.value for key in keys if isinstance(key, ast.Constant)}
            case ast.Attribute(attr=name) if is_private(name):
                used.add(name)
    for module, name in imported_names(tree):
        is_own_file = package in (module, module.rpartition(".")[0]) and not is_private(name)
        is_own_file |= module == package and f"{module}.{name}" in MODULES
        if not is_own_file and any(map(is_private, [*module.split("."), name])):
            used.add(f"{module}.{name}".removesuffix("."))
    return used - own


def import_circle(sources: dict[str, str]) -> list[str]:
    """The modules of a circle of imports, whether at the top of a file or in a function; [] where there is none."""
    graph = {}
    for module, source in sources.items():
        pairs = imported_names(ast.parse(source))
        graph[module] = {f"{other}.{name}" if f"{other}.{name}" in sources else other for other, name in pairs} - {
            module
        }
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return []


def beyond_limits(part: str, source: str) -> list[str]:
    """Classes of estimators with too many methods, and functions of too many lines or parameters."""
    found = []
    for node in ast.walk(ast.parse(source)):
        functions = [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.FunctionDef)]
        if isinstance(node, ast.ClassDef) and part == "estimators" and len(functions) > MAX_METHODS:
            found.append(f"{node.name}: {len(functions)} methods")
        for function in functions:
            described = describes_parameters(function) or (function.name == "__init__" and describes_parameters(node))
            if (n_lines := lines_of(function)) > MAX_LINES:
                found.append(f"{function.name}: {n_lines} lines")
            if (n_parameters := parameters_of(function)) > MAX_PARAMETERS and not described:
                found.append(f"{function.name}: {n_parameters} parameters")
    return found


def lines_of(function: ast.FunctionDef) -> int:
    """Lines from `def` to the end, without the docstring."""
    first, last = function.body[0], function.end_lineno or 0
    docstring = (first.end_lineno or 0) - first.lineno + 1 if ast.get_docstring(function) else 0
    return last - function.lineno + 1 - docstring


def parameters_of(function: ast.FunctionDef) -> int:
    args = function.args
    names = {arg.arg for arg in [*args.posonlyargs, *args.args, *args.kwonlyargs]} - {"self", "cls"}
    return len(names) + (args.vararg is not None) + (args.kwarg is not None)


def describes_parameters(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef | ast.ClassDef) and "Parameters\n---" in (ast.get_docstring(node) or "")


@pytest.mark.parametrize("path", FILES, ids=in_package)
def test_private_names__every_file__are_its_own(path):
    assert foreign_private_names(module_name(path.parent), path.read_text()) == set()


@pytest.mark.parametrize(
    ("source", "foreign"),
    [
        ("from tsformer.data.rows import _checked_times", {"tsformer.data.rows._checked_times"}),
        ("from tsformer.interop._parameters import _arrays", {"tsformer.interop._parameters._arrays"}),
        ("from tsformer.plotting import _figures", {"tsformer.plotting._figures"}),
        ("def f():\n    import tsformer.plotting._figures", {"tsformer.plotting._figures"}),
        ("from tsformer.plotting._figures import drawn", {"tsformer.plotting._figures.drawn"}),
        ("def f(forecaster):\n    return forecaster._read(1)", {"_read"}),
        ("def f(estimator):\n    estimator._moments = None", {"_moments"}),
        ("def f(estimator):\n    keep(estimator, {'_moments': 1})\n    return estimator._moments", set()),
        ("from tsformer.interop._parameters import SMALL", set()),
        ("from tsformer.interop import _parameters", set()),
        ("class A:\n    def _read(self): ...\ndef f(a):\n    return a._read()", set()),
        ("def f(self):\n    self._kept = 1\n    return self._kept + self.__len__() + self._replace()", set()),
    ],
)
def test_foreign_private_names__a_made_up_file_of_interop__are_found(source, foreign):
    assert foreign_private_names("tsformer.interop", source) == foreign


def test_imports__all_modules__make_no_circle():
    assert import_circle(MODULES) == []


@pytest.mark.parametrize(
    "line", ["import tsformer.a", "from tsformer import a", "def f():\n    from tsformer.a import A"]
)
def test_import_circle__made_up_modules__is_found(line):
    sources = {"tsformer": "", "tsformer.a": "from tsformer.b import B", "tsformer.b": line}
    assert set(import_circle(sources)) == {"tsformer.a", "tsformer.b"}
    assert import_circle(sources | {"tsformer.b": "import numpy"}) == []


@pytest.mark.parametrize("path", FILES, ids=in_package)
def test_limits__every_file__are_kept(path):
    assert beyond_limits(part_of(path), path.read_text()) == []


NINE = ", ".join("abcdefghi")
DESCRIBED = '"""Do.\n\n    Parameters\n    ----------\n    a : int\n    """'
FIFTY = 'def f():\n    """Do.\n\n    More.\n    """\n' + "    pass\n" * 49
METHODS = "".join(f"    def f{i}(self): ...\n" for i in range(15))


@pytest.mark.parametrize(
    ("source", "beyond"),
    [
        (f"class A:\n{METHODS}", []),
        (f"class A:\n{METHODS}    def g(self): ...", ["A: 16 methods"]),
        (FIFTY, []),
        (f"{FIFTY}    pass", ["f: 51 lines"]),
        ("def f(a, b, c, d, *, e, f, g, **h): ...", []),
        (f"def f({NINE}): ...", ["f: 9 parameters"]),
        (f"def f({NINE}):\n    {DESCRIBED}", []),
        (f"class A:\n    {DESCRIBED}\n    def __init__(self, {NINE}): ...", []),
        (f"class A:\n    def __init__(self, {NINE}): ...", ["__init__: 9 parameters"]),
    ],
)
def test_beyond_limits__made_up_source__is_found(source, beyond):
    assert beyond_limits("estimators", source) == beyond


@pytest.mark.parametrize("path", FILES, ids=in_package)
def test_docstring__every_file__opens_with_one_sentence(path):
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    assert docstring is not None
    first, _, rest = docstring.partition("\n")
    assert first.endswith(".")
    assert ". " not in first
    assert rest == "" or rest.startswith("\n")


def test_walk__fit_of_a_network_of_one_step__enters_at_most_eighteen_files_outside_the_layers():
    entered: set[str] = set()

    def note(frame, event, argument):
        if event == "call" and Path(frame.f_code.co_filename).is_relative_to(PACKAGE):
            entered.add(in_package(Path(frame.f_code.co_filename)))

    X, y = np.random.default_rng(0).normal(size=(8, 2, 20)), [0, 1] * 4
    classifier = TransformerClassifier(pretrained=None, n_estimators=1, max_steps=1, random_state=0).fit(X, y)
    before = sys.getprofile()  # only now: torch imports much at the first step
    sys.setprofile(note)
    try:
        classifier.fit(X, y)
    finally:
        sys.setprofile(before)
    assert {"estimators/classifier.py", "data/cases.py", "training/fitting.py", "training/loop.py"} < entered
    assert "training/objectives.py" in entered  # the loss
    outside = {name for name in entered if not name.startswith("layers")}
    assert len(outside) <= 18, sorted(outside)
