"""Read the entries of models.yaml, and load their models."""

from __future__ import annotations

from pathlib import Path

import msgspec

from tidemill import yaml_file
from tidemill.errors import (
    InvalidModels,
    ModelLoadFailed,
    ModelMisconfigured,
)
from tidemill.inference.model import Model, ModelSpec
from tidemill.models import validation
from tidemill.models.adapters import load_class

_loaded: dict[bytes, Model] = {}


def load_models(path: Path | str) -> tuple[ModelSpec, ...]:
    """Return the entries of a models.yaml: a mapping with one key, `models`, a list of entries.

    The models themselves are not loaded.

    Raises:
        SettingsFileUnreadable: The file does not exist or is not YAML.
        InvalidModels: An entry is wrong, or two entries match the same messages.

    """
    path = Path(path)
    document = yaml_file.read(path, "The setting `models` names this file: create or correct it.")
    entries = document["models"] if isinstance(document, dict) and [*document] == ["models"] else ()
    if not (entries and isinstance(entries, list)):
        raise InvalidModels(path, "needs a list of entries under the one key 'models'")
    if problems := [
        problem
        for number, entry in enumerate(entries, 1)
        for problem in validation.problems(number, entry)
    ]:
        raise InvalidModels(path, *problems)
    specs = msgspec.convert(entries, tuple[ModelSpec, ...])
    try:
        validation.check(specs)
    except InvalidModels as error:
        raise InvalidModels(path, error) from None
    return specs


def load(spec: ModelSpec) -> Model:
    """Return the entry's model, loaded once in this process.

    Raises:
        ModelMisconfigured: The class cannot be imported or constructed, or lacks `predict_all`.
        ModelLoadFailed: The constructor raised another exception, so loading may succeed later.

    """
    key = msgspec.json.encode(spec)
    if key not in _loaded:
        _loaded[key] = _construct(spec)
    return _loaded[key]


def _construct(spec: ModelSpec) -> Model:
    try:
        model: Model = load_class(spec.adapter)(**spec.options)
        if not callable(getattr(model, "predict_all", None)):
            raise TypeError(f"{type(model).__name__} has no method predict_all")  # noqa: TRY301
    except (ImportError, SyntaxError, AttributeError, TypeError) as cause:
        raise ModelMisconfigured(spec.id, spec.adapter, cause) from cause
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as cause:
        raise ModelLoadFailed(spec.id, cause) from cause
    return model
