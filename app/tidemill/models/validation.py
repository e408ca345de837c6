"""Find everything that is wrong with the entries of models.yaml."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

import msgspec

from tidemill.errors import InvalidModels
from tidemill.inference.codec import ENVELOPE
from tidemill.inference.model import ModelSpec
from tidemill.inference.route import Router, single_routes
from tidemill.models.adapters import SHORT_NAMES, UnknownAdapter, class_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def problems(number: int, entry: object) -> Iterator[str]:
    """Yield every problem of one entry as written; msgspec would stop at the first."""
    if not isinstance(entry, dict):
        yield f"entry {number}: must be a mapping, such as {{name: my-model, …}}"
        return
    label = f"entry {number} ({entry['name']})" if entry.get("name") else f"entry {number}"
    fields = {field.name: field for field in msgspec.structs.fields(ModelSpec)}
    for name in (name for name in entry if name not in fields):
        near = get_close_matches(str(name), fields, n=1)
        suggestion = f", did you mean {near[0]}?" if near else ""
        yield f"{label}: there is no field {name}{suggestion}"
    if missing := [name for name, field in fields.items() if field.required and name not in entry]:
        yield f"{label}: missing the required {', '.join(missing)}"
    for name, field in fields.items():
        if name not in entry:
            continue
        try:
            value = msgspec.convert(entry[name], field.type)
            if name == "adapter":
                class_path(value)
        except msgspec.ValidationError as error:
            yield f"{label}: {name}: {_explain(name, entry[name], error)}"
        except UnknownAdapter as error:
            yield f"{label}: {name}: {error}"


def _explain(field: str, value: object, error: msgspec.ValidationError) -> str:
    """Reword msgspec's message for the author of a YAML file."""
    problem = str(error).partition(" - at ")[0]
    if field == "adapter" and "matching regex" in problem:
        shipped = ", ".join(sorted(SHORT_NAMES))
        return f"Expected `str` of the form package.module:Class, or a shipped adapter ({shipped})"
    if "`str`, got `int`" in problem or "`str`, got `float`" in problem:
        return f'{problem} (put it in quotes: "{value}")'
    if field == "match" and "got `bool`" in problem:
        return f"{problem} (YAML reads no, off, yes and on as booleans: put the value in quotes)"
    return problem


def check(specs: Sequence[ModelSpec]) -> None:
    """Check the entries against each other, and the names of the fields in their results.

    Raises:
        InvalidModels: Two entries are duplicates, or a result would have two fields of one name.

    """
    seen: set[str] = set()
    for spec in specs:
        if spec.id in seen:
            raise InvalidModels("models", f"duplicate model {spec.id}")
        seen.add(spec.id)
        _check_result_fields(spec)
    Router(single_routes(specs))


def _check_result_fields(spec: ModelSpec) -> None:
    """Refuse two fields of one name in a result: copied fields, the output, the envelope."""
    if spec.result in ENVELOPE:
        raise InvalidModels(spec.id, f"result: {spec.result!r} is a reserved field of every result")
    # With `echo: all`, message fields with reserved names are dropped, not refused.
    echo = () if spec.echo == "all" else spec.echo
    for key, names in ("id_field", (spec.id_field,)), ("match", spec.match), ("echo", echo):
        if spec.result in names:
            raise InvalidModels(
                spec.id, f"result: results already have {spec.result!r}, copied for {key}"
            )
        if reserved := sorted(set(ENVELOPE).intersection(filter(None, names))):
            quoted = ", ".join(map(repr, reserved))
            raise InvalidModels(spec.id, f"{key}: {quoted} is a reserved field of every result")
