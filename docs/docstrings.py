"""What mkdocstrings shows of a class whose docstring is composed at import: the docstring that help() shows."""

import importlib
import inspect
from typing import Any

import griffe


class ComposedDocstrings(griffe.Extension):
    """Take the docstrings of classes decorated with `documents_parameters_of` or `takes_parameters_of` from them."""

    def on_class(self, *, cls: griffe.Class, **kwargs: Any) -> None:
        """Replace the docstring that stands in the source, which lacks the shared parameters."""
        composed = {"documents_parameters_of", "takes_parameters_of"}
        if composed & {decorator.callable_path.rpartition(".")[2] for decorator in cls.decorators} and cls.docstring:
            cls.docstring.value = inspect.getdoc(getattr(importlib.import_module(cls.module.path), cls.name)) or ""
