"""Turn an entry of models.yaml into routes: one for each of its parameters."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec
from msgspec import UNSET
from pydantic import ByteSize, TypeAdapter, ValidationError

from tidemill.inference.model import Limits, ModelSpec, Name
from tidemill.inference.route import Route, Variant
from tidemill.inference.schema import check_schema
from tidemill.inference.schema_sample import sample_of_schema
from tidemill.models.adapters import UnknownAdapter, class_path
from tidemill.models.entry import Entry, EntryError, Loading, Scalar, VariantEntry
from tidemill.models.lookups import read_lookups
from tidemill.models.uri import URI

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

MLFLOW = "mlflow"
# First parts of paths that a server answers itself, so that no endpoint can have them.
RESERVED_PATHS = frozenset(
    {"v1", "v2", "invocations", "healthz", "ping", "readyz", "metrics", "page", "openapi.json"}
)
SHARED = tuple(field.name for field in msgspec.structs.fields(Loading))
PLACEHOLDER = re.compile(r"\{(\w+)\}")
# The most that the weights of an entry may differ from 100 percent.
TOLERANCE = 1e-6
_BYTES = TypeAdapter(ByteSize)


def expand(entry: Entry, fields: tuple[str, ...] | None, folder: Path) -> Iterator[Route]:
    """Yield the routes of an entry.

    `fields` are the fields of a message that hold the parameters, if the file names them. Relative
    paths are relative to `folder`.

    Raises:
        EntryError: Something is wrong with the entry.

    """
    if not entry.variants and (entry.split_by is not None or entry.salt is not None):
        field = "salt" if entry.split_by is None else "split_by"
        raise EntryError((field,), "needs `variants`, among which it splits the messages")
    first = (entry.endpoint or "").partition("/")[0]
    if first in RESERVED_PATHS:
        raise EntryError(("endpoint",), f"servers need the path /{first} for themselves")
    combinations = list(_combinations(entry, fields))
    shares = _shares(entry.variants)
    for values in combinations:
        names = _names(entry, values, several=len(combinations) > 1)
        variants = tuple(
            Variant(label, _spec(entry, label, values, names, folder), weight)
            for label, weight in shares.items()
        )
        path = None
        if entry.endpoint is not None:
            path = "/".join(
                ["", entry.endpoint, *(quote(str(v), safe="") for v in values.values())]
            )
        yield Route(
            name=str(names["name"]),
            match=_match(entry, values),
            variants=variants,
            split_by=entry.split_by,
            salt=str(entry.name) if entry.salt is None else entry.salt,
            path=path,
        )


def _combinations(
    entry: Entry, fields: tuple[str, ...] | None
) -> Iterator[dict[str | int, Scalar]]:
    """Yield the parameters of each model by field, or by number if no field holds them."""
    path = ("parameters",)
    parameters = entry.parameters
    if parameters and entry.endpoint is None and not isinstance(parameters, dict):
        raise EntryError(path, "needs an `endpoint`, whose path the parameters complete")
    if isinstance(parameters, dict):
        if fields is not None and fields != tuple(parameters):
            raise EntryError(path, f"must name the endpoint's fields in order: {', '.join(fields)}")
        if empty := [field for field, each in parameters.items() if each == ()]:
            raise EntryError((*path, empty[0]), "needs one or more values")
        lists = [each if isinstance(each, tuple) else (each,) for each in parameters.values()]
        for values in itertools.product(*lists):
            yield dict(zip(parameters, values, strict=True))
        return
    rows = [each for each in parameters if isinstance(each, tuple)]
    if rows and len(rows) < len(parameters):
        raise EntryError(path, "must be a list of values, or a list of lists; this is a mixture")
    one = tuple(each for each in parameters if not isinstance(each, tuple))
    for number, row in enumerate(rows or [one]):
        if fields is not None and len(row) != len(fields):
            place = (*path, number) if rows else path
            raise EntryError(place, f"needs {len(fields)} values: {', '.join(fields)}")
        yield dict(zip(fields or range(len(row)), row, strict=True))


def _match(entry: Entry, values: dict[str | int, Scalar]) -> dict[str, Scalar] | None:
    """Return the fields of a message that leads here; None if the file names no such fields."""
    fields = {name: value for name, value in values.items() if isinstance(name, str)}
    if both := sorted(entry.match.keys() & fields.keys()):
        raise EntryError(("match", both[0]), "is one of the parameters, too")
    if len(fields) < len(values):
        return entry.match or None
    return entry.match | fields


def _shares(variants: Mapping[str, VariantEntry]) -> dict[str, float]:
    """Return the weight of each variant in percent; an entry without variants has one."""
    if not variants:
        return {"": 100.0}
    given = {label: each.weight for label, each in variants.items() if each.weight is not UNSET}
    total = sum(given.values())
    rest = [label for label in variants if label not in given]
    if total > 100 + TOLERANCE or (not rest and total < 100 - TOLERANCE):
        raise EntryError(("variants",), f"the weights add up to {total:g}, not to 100 percent")
    share = max(0.0, 100 - total) / len(rest) if rest else 0.0
    return {label: float(given.get(label, share)) for label in variants}


def _names(entry: Entry, values: dict[str | int, Scalar], *, several: bool) -> dict[str, Scalar]:
    """Return what placeholders stand for: the parameters and the entry's name."""
    names: dict[str, Scalar] = {str(field): value for field, value in values.items()}
    name = str(_fill(str(entry.name), names))
    if unknown := PLACEHOLDER.search(name):
        near = ", ".join(names) or "none"
        raise EntryError(("name",), f"there is no parameter {unknown[1]}; there are: {near}")
    if several and name == entry.name:
        name = "_".join([name, *map(str, names.values())])
    return names | {"name": name}


def _fill(value: Any, names: Mapping[str, Scalar]) -> Any:  # noqa: ANN401 - whatever YAML has
    """Replace the placeholders in every text of a value; leave other braces as they are.

    A text that is nothing but a placeholder becomes the parameter itself, which may be a number.
    """
    match value:
        case str() if (whole := PLACEHOLDER.fullmatch(value)) and whole[1] in names:
            return names[whole[1]]
        case str():
            return PLACEHOLDER.sub(lambda found: str(names.get(found[1], found[0])), value)
        case list():
            return [_fill(item, names) for item in value]
        case dict():
            return {key: _fill(item, names) for key, item in value.items()}
    return value


def _spec(
    entry: Entry,
    label: str,
    values: dict[str | int, Scalar],
    names: dict[str, Scalar],
    folder: Path,
) -> ModelSpec:
    """Return the model of a variant."""
    variant = entry.variants.get(label, VariantEntry())
    own = {name: value for name in SHARED if (value := getattr(variant, name)) is not UNSET}
    base = {name: value for name in SHARED if (value := getattr(entry, name)) is not UNSET}

    def place(field: str) -> tuple[str, ...]:
        return ("variants", label, field) if field in own else (field,)

    given = (
        base | own | {"name": str(_fill(own["name"], names)) if "name" in own else names["name"]}
    )
    given["version"] = str(given["version"])
    for field in ("name", "version"):
        _check_name(given[field], place(field))
    names = names | {field: given[field] for field in ("name", "version")}
    if "options" in given:
        given["options"] = _fill(given["options"], names)
    if "artifact" in given:
        given["artifact"] = str(_fill(given["artifact"], names))
    adapter = given.setdefault("adapter", MLFLOW)
    try:
        class_path(adapter)
    except UnknownAdapter as error:
        raise EntryError(place("adapter"), str(error)) from None
    if adapter == MLFLOW:
        given.setdefault("artifact", "models:/{name}/{version}".format_map(names))
    if "artifact" in given and not URI.match(given["artifact"]):
        given["artifact"] = str(folder / given["artifact"])
    if "schema" in given:
        given["schema"] = _schema(given["schema"], place("schema"), folder)
    given |= _sample(given)
    given["limits"] = _limits(given.get("limits"), place("limits"))
    given["lookup"] = read_lookups(given.get("lookup", ()), given, place("lookup"))
    return ModelSpec(
        **given,
        match=_match(entry, values) or {},
        id_field=entry.id_field,
        echo=entry.echo,
        result=entry.result,
    )


def _check_name(name: str, path: tuple[str, ...]) -> None:
    try:
        msgspec.convert(name, Name)
    except msgspec.ValidationError:
        rule = "must begin with a letter or digit, and have only letters, digits, '.', '_' and '-'"
        raise EntryError(path, f"{name!r} {rule}") from None


def _schema(schema: dict[str, Any] | str, path: tuple[str, ...], folder: Path) -> dict[str, Any]:
    """Return a schema that may be in a file."""
    if isinstance(schema, str):
        try:
            schema = msgspec.json.decode((folder / schema).read_bytes(), type=dict[str, Any])
        except (OSError, ValueError) as error:
            raise EntryError(path, f"cannot read {schema}: {error}") from None
    if problem := check_schema(schema):
        raise EntryError(path, problem)
    return schema


def _sample(given: dict[str, Any]) -> dict[str, Any]:
    """Return the sample as text, and whether the model gets text; otherwise it gets JSON."""
    sample = given.get("sample", UNSET)
    if sample is UNSET and given.get("schema"):
        sample = sample_of_schema(given["schema"])
    if sample is UNSET:
        return {"sample": None, "is_text": False}
    is_text = isinstance(sample, str)
    if is_text and isinstance(given.get("payload"), tuple):
        problem = "must be an object, because the payload is a list of fields"
        raise EntryError(("sample",), problem)
    return {
        "sample": sample if is_text else msgspec.json.encode(sample).decode(),
        "is_text": is_text,
    }


def _limits(limits: Any, path: tuple[str, ...]) -> Limits:  # noqa: ANN401 - LimitsEntry or None
    if limits is None:
        return Limits()
    memory = limits.memory
    try:
        size = None if memory is None else int(_BYTES.validate_python(memory))
    except ValidationError:
        raise EntryError((*path, "memory"), f"{memory!r} is no size, such as 200MiB") from None
    return Limits(chars=limits.chars, batch=limits.batch, seconds=limits.seconds, memory=size)
