"""The adapters that Tidemill ships, one module for each framework, and their short names."""

from __future__ import annotations

import importlib
from difflib import get_close_matches
from typing import Any

from tidemill import extras

SHORT_NAMES = {
    "spacy-ner": "tidemill.models.adapters.spacy_ner:SpacyNer",
}


class UnknownAdapter(ImportError):
    """No shipped adapter has this short name."""

    def __init__(self, name: str) -> None:
        near = get_close_matches(name, SHORT_NAMES, n=1)
        suggestion = f"did you mean {near[0]}? " if near else ""
        super().__init__(
            f"there is no adapter {name!r}: {suggestion}"
            f"shipped: {', '.join(sorted(SHORT_NAMES))}; your own: package.module:Class"
        )


def class_path(adapter: str) -> str:
    """Return the `package.module:Class` of an adapter that may be given by its short name.

    Raises:
        UnknownAdapter: No shipped adapter has this short name.

    """
    if ":" in adapter:
        return adapter
    if adapter not in SHORT_NAMES:
        raise UnknownAdapter(adapter)
    return SHORT_NAMES[adapter]


def load_class(adapter: str) -> Any:  # noqa: ANN401 - any callable that returns a model
    """Import an adapter's class.

    Raises:
        MissingExtra: A shipped adapter needs packages that are not installed.
        ImportError, AttributeError: There is no such module, or no such class in it.

    """
    module, _, name = class_path(adapter).partition(":")
    if module.startswith(f"{__name__}."):
        with extras.required():
            return getattr(importlib.import_module(module), name)
    return getattr(importlib.import_module(module), name)
