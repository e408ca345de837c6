"""The adapters that Tidemill ships, one module for each framework, and their short names."""

from __future__ import annotations

from difflib import get_close_matches

SHORT_NAMES = {
    "mlflow": "tidemill.models.adapters.mlflow:Mlflow",
    "packed": "tidemill.models.adapters.packed:Packed",
    "onnx": "tidemill.models.adapters.onnx:Onnx",
    "sklearn": "tidemill.models.adapters.sklearn:Sklearn",
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
