"""Load models, and keep each of them: the one place of a process that does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tidemill.models.adapters import class_path
from tidemill.models.isolation import child
from tidemill.models.isolation.replies import load_error

if TYPE_CHECKING:
    from tidemill.inference.model import Model, ModelSpec

_models: dict[bytes, Model] = {}


def load(spec: ModelSpec) -> Model:
    """Return the entry's model, loaded once in this process.

    Raises:
        ModelMisconfigured: The class cannot be imported or constructed, or lacks `predict_all`.
        ModelLoadFailed: The constructor raised another exception, so loading may succeed later.

    """
    try:
        return load_once(spec.id, class_path(spec.adapter), spec.arguments)
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as cause:
        raise load_error(spec, cause, **child.explain(cause, spec.adapter)) from cause


def load_once(model: str, path: str, options: dict[str, Any]) -> Model:
    """Return the model with this id, class and options; raise whatever its class raises."""
    key = msgspec.json.encode((model, path, options))
    if key not in _models:
        _models[key] = child.construct(path, options)
    return _models[key]
