"""Check that a model keeps the contract of `tidemill.Model`: a kit for pytest.

Needs the extra `testing`. Importing this package imports neither pytest nor Hypothesis, so that
the plugin costs other tests nothing and a worker process can import the package without them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from tidemill import extras

if TYPE_CHECKING:
    from tidemill.testing.contract import ModelContract, NotForkSafe

__all__ = ["ModelContract", "NotForkSafe"]

if not TYPE_CHECKING:  # a type checker would accept any name

    def __getattr__(name: str) -> object:
        """Import a public name at its first use (PEP 562)."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        with extras.required():
            return getattr(import_module("tidemill.testing.contract"), name)
