"""What mkdocstrings shows of docstrings beyond what stands in the source, or otherwise than it reads it."""

import importlib
import inspect
import re
from typing import Any

import griffe

COMPOSED = {"documents_parameters_of", "takes_parameters_of"}
CHOICES = re.compile(r"^(\w[\w, ]* : )\{(.*)\}", re.MULTILINE)
TWO_DEFAULTS = re.compile(r"^(\w+), (\w+) : (.*), default=(.+), (.+)\n((?: +.*(?:\n|$))+)", re.MULTILINE)
ALTERNATIVES = re.compile(r"(^\w[\w, ]* : |^Returns\n-------\n)(.*?) or ", re.MULTILINE)


class Docstrings(griffe.Extension):
    """Complete the docstrings that decorators compose, and keep the defaults of choices."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Rewrite the docstring of an object."""
        if obj.docstring is None:
            return
        if isinstance(obj, griffe.Class) and COMPOSED & {d.callable_path.rpartition(".")[2] for d in obj.decorators}:
            obj.docstring.value = inspect.getdoc(getattr(importlib.import_module(obj.module.path), obj.name)) or ""
        # Of `name : {"a", "b"}, default="b"` griffe takes the first choice for the default.
        text = CHOICES.sub(r"\1one of \2", obj.docstring.value)
        # Of `a, b : int, default=1, 2` it takes the first default for both.
        text = TWO_DEFAULTS.sub(r"\1 : \3, default=\4\n\6\2 : \3, default=\5\n\6", text)
        # `str, int or None` it reads as Python, a tuple; with a space that is none of Python's it is words.
        obj.docstring.value = ALTERNATIVES.sub("\\1\\2\u00a0or ", text)
