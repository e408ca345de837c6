"""models.yaml to entries, and entries to loaded models."""

from __future__ import annotations

import importlib
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import msgspec
import yaml

from tidemill.errors import (
    InvalidModels,
    ModelLoadFailed,
    ModelMisconfigured,
    SettingsFileUnreadable,
)
from tidemill.inference.codec import ENVELOPE
from tidemill.inference.model import Model, ModelSpec
from tidemill.inference.router import Router

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_loaded: dict[bytes, Model] = {}


def load_models(path: Path) -> tuple[ModelSpec, ...]:
    """Return the entries of a models.yaml: a mapping with one key, `models`, a list of entries.

    Raises:
        SettingsFileUnreadable: There is no such file, or it is not YAML.
        InvalidModels: An entry is wrong, or two entries are the same or answer the same messages.

    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        reason = "there is no such file; the setting `models` names it"
        raise SettingsFileUnreadable(path.absolute(), reason) from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise SettingsFileUnreadable(path, error) from None
    if not isinstance(document, dict) or list(document) != ["models"] or not document["models"]:
        raise InvalidModels(path, "needs a list of entries under the one key 'models'")
    entries = document["models"]
    if not isinstance(entries, list):
        raise InvalidModels(path, "needs a list of entries under the one key 'models'")
    if problems := [
        said for place, entry in enumerate(entries, 1) for said in _wrong(place, entry)
    ]:
        raise InvalidModels(path, "; ".join(problems))
    specs = msgspec.convert(entries, tuple[ModelSpec, ...])
    try:
        _check(specs)
    except InvalidModels as error:
        raise InvalidModels(path, error) from None
    return specs


def _wrong(place: int, entry: object) -> Iterator[str]:
    """Say in plain words everything that is wrong with one entry; msgspec stops at the first."""
    if not isinstance(entry, dict):
        yield f"entry {place}: must be a mapping, such as {{name: my-model, …}}"
        return
    named = f"entry {place} ({entry['name']})" if entry.get("name") else f"entry {place}"
    fields = {field.name: field for field in msgspec.structs.fields(ModelSpec)}
    for name in (name for name in entry if name not in fields):
        near = get_close_matches(str(name), fields, n=1)
        hint = f", did you mean {near[0]}?" if near else ""
        yield f"{named}: there is no field {name}{hint}"
    if missing := [name for name, field in fields.items() if field.required and name not in entry]:
        yield f"{named}: lacks {', '.join(missing)}"
    for name, field in fields.items():
        if name in entry:
            try:
                msgspec.convert(entry[name], field.type)
            except msgspec.ValidationError as error:
                yield f"{named}: {name}: {_plain(name, error)}"


def _plain(field: str, error: Exception) -> str:
    """Say in plain words what msgspec says of a field's value."""
    said = str(error).partition(" - at ")[0]
    said = said.replace(r"matching regex '^[\\w.]+:\\w+$'", "of the form package.module:Class")
    quote = (
        ' (in quotes: "1")' if "`str`, got `int`" in said or "`str`, got `float`" in said else ""
    )
    boolean = (
        " (YAML reads no, off, yes and on as booleans: put the value in quotes)"
        if field == "match" and "got `bool`" in said
        else ""
    )
    return said + quote + boolean


def _check(specs: tuple[ModelSpec, ...]) -> None:
    seen: set[str] = set()
    for spec in specs:
        if spec.id in seen:
            raise InvalidModels("models", f"{spec.id} stands there twice")
        seen.add(spec.id)
        _check_names(spec)
    Router(specs)


def _check_names(spec: ModelSpec) -> None:
    """Refuse two fields of one name in a result: what it repeats, the output, what we add."""
    if spec.result in ENVELOPE:
        raise InvalidModels(spec.id, f"result may not be {spec.result!r}: results have it")
    echo = (
        () if spec.echo == "all" else spec.echo
    )  # of all fields those of these names are left out
    for key, names in ("id_field", (spec.id_field,)), ("match", spec.match), ("echo", echo):
        if spec.result in names:
            problem = f"result may not be {spec.result!r}: results repeat that field ({key})"
            raise InvalidModels(spec.id, problem)
        if taken := set(ENVELOPE).intersection(filter(None, names)):
            raise InvalidModels(spec.id, f"{key} may not use {sorted(taken)}: results have them")


def load(spec: ModelSpec) -> Model:
    """Return the entry's model, loaded once in this process and kept.

    Raises:
        ModelMisconfigured: Its class cannot be imported or built, or has no `predict_all`.
        ModelLoadFailed: Its constructor raised anything else, which another time may go well.

    """
    key = msgspec.json.encode(spec)
    if key not in _loaded:
        _loaded[key] = _construct(spec)
    return _loaded[key]


def _construct(spec: ModelSpec) -> Model:
    module, _, name = spec.adapter.partition(":")
    try:
        model: Any = getattr(importlib.import_module(module), name)(**spec.options)
        if not callable(getattr(model, "predict_all", None)):
            raise TypeError(f"{name} has no method predict_all")  # noqa: TRY301
    except (ImportError, SyntaxError, AttributeError, TypeError) as cause:
        raise ModelMisconfigured(spec.id, spec.adapter, cause) from cause
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as cause:
        raise ModelLoadFailed(spec.id, cause) from cause
    loaded: Model = model
    return loaded
