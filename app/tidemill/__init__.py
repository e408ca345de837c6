"""Tidemill: model inference on streams.

The names in `__all__` are the public API. Each is imported at its first use, so that importing
`tidemill` is quick and needs no extra.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tidemill.errors import TidemillError
    from tidemill.inference.message import Failure, Message, Prediction
    from tidemill.inference.model import Model, ModelSpec
    from tidemill.models.catalogue import load_models
    from tidemill.models.features import FeatureModel
    from tidemill.settings import Settings
    from tidemill.spark.udfs import predictions

__all__ = [
    "Failure",
    "FeatureModel",
    "Message",
    "Model",
    "ModelSpec",
    "Prediction",
    "Settings",
    "TidemillError",
    "__version__",
    "load_models",
    "predictions",
]
__version__ = "0.1.0"

_MODULES = {
    "Failure": "tidemill.inference.message",
    "FeatureModel": "tidemill.models.features",
    "Message": "tidemill.inference.message",
    "Model": "tidemill.inference.model",
    "ModelSpec": "tidemill.inference.model",
    "Prediction": "tidemill.inference.message",
    "Settings": "tidemill.settings",
    "TidemillError": "tidemill.errors",
    "load_models": "tidemill.models.catalogue",
    "predictions": "tidemill.spark.udfs",  # needs the extra `stream`
}


if not TYPE_CHECKING:  # a type checker would accept any name

    def __getattr__(name: str) -> object:
        """Import a public name at its first use (PEP 562)."""
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from tidemill import extras  # noqa: PLC0415 - importing tidemill imports nothing else

        with extras.required():
            globals()[name] = getattr(import_module(_MODULES[name]), name)
        return globals()[name]


def __dir__() -> list[str]:
    """List the public names, also those that are not imported yet."""
    return sorted({*globals(), *__all__})
