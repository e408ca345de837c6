"""Find everything that is wrong with the content of models.yaml."""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from tidemill.inference.codec import ENVELOPE, FEATURES, VARIANT, VARIANT_FORCED
from tidemill.models.adapters import SHORT_NAMES
from tidemill.models.entry import Entry, LimitsEntry, LookupEntry, ModelsFile, VariantEntry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from msgspec.structs import FieldInfo

    from tidemill.inference.route import Route

    Path = tuple[str | int, ...]

REQUIRED = ("name", "version")
# What to do about one of msgspec's problems: its field, if only there; a part of it; the hint.
HINTS = (
    ("match", "got `float`", "a message can be matched only on text and whole numbers"),
    ("version", "got `float`", "put it in quotes: YAML drops the last zero of 1.10"),
    ("", "got `float`", "put it in quotes"),
    ("", "got `bool`", "YAML reads no, off, yes and on as booleans: put the value in quotes"),
    ("", "got `date", "YAML reads it as a date: put the value in quotes"),
    ("", "`str`, got `int`", "put it in quotes"),
)
# Keys of the file that begin so are ignored: a place for anchors, as in Compose files.
EXTENSION = "x-"
# The structs within an entry, whose own fields are checked one by one.
NESTED = {"limits": LimitsEntry}
# Those of which there are several.
LISTED: dict[str, type[msgspec.Struct]] = {"lookup": LookupEntry}


def file_problems(document: object) -> Iterator[tuple[Path, str]]:
    """Yield the path and the problem of everything wrong outside the entries."""
    if not isinstance(document, dict) or not (
        isinstance(document.get("models"), list) and document["models"]
    ):
        yield (), "needs a list of entries under the key 'models'"
        return
    known = _fields(ModelsFile)
    for name in document:
        if name not in known and not str(name).startswith(EXTENSION):
            yield (name,), f"there is no key {name}{_suggest(name, known)}"
    if "endpoints" in document:
        yield from _field_problem("endpoints", document["endpoints"], known["endpoints"].type)


def endpoint_problems(file: ModelsFile) -> Iterator[tuple[Path, str]]:
    """Yield each endpoint in the file or in an entry that lacks its counterpart."""
    used = dict.fromkeys(entry.endpoint for entry in file.models if entry.endpoint is not None)
    for name in file.endpoints:
        if name not in used:
            yield ("endpoints", name), f"no entry has the endpoint {name}{_suggest(name, used)}"
    for index, entry in enumerate(file.models if file.endpoints else ()):
        own = entry.endpoint
        if own is not None and own not in file.endpoints and isinstance(entry.parameters, tuple):
            problem = f"`endpoints` does not name the fields of {own}"
            yield ("models", index, "endpoint"), problem + _suggest(own, file.endpoints)


def entry_problems(entry: object) -> Iterator[tuple[Path, str]]:
    """Yield every problem of one entry as written; msgspec would stop at the first."""
    if not isinstance(entry, dict):
        yield (), "must be a mapping, such as {name: my-model, …}"
        return
    if missing := [name for name in REQUIRED if name not in entry]:
        yield (), f"missing the required {', '.join(missing)}"
    yield from _struct_problems(Entry, entry)


def _struct_problems(struct: type[msgspec.Struct], value: dict[Any, Any]) -> Iterator[Any]:
    fields = _fields(struct)
    for name, content in value.items():
        if name not in fields:
            yield (name,), f"there is no field {name}{_suggest(name, fields)}"
        elif name == "variants" and isinstance(content, dict):
            for label, variant in content.items():
                changes = {} if variant is None else variant
                yield from _nested((name, label), VariantEntry, changes)
        elif name in NESTED:
            yield from _nested((name,), NESTED[name], content)
        elif name in LISTED and isinstance(content, list):
            for number, each in enumerate(content):
                yield from _nested((name, number), LISTED[name], each)
        else:
            yield from _field_problem(name, content, fields[name].type)


@cache
def _fields(struct: type[msgspec.Struct]) -> dict[str, FieldInfo]:
    """Return the fields of a struct by name; msgspec evaluates their types anew at each call."""
    return {field.name: field for field in msgspec.structs.fields(struct)}


def _nested(path: Path, struct: type[msgspec.Struct], value: object) -> Iterator[tuple[Path, str]]:
    if not isinstance(value, dict):
        yield path, f"{'.'.join(map(str, path))}: must be a mapping"
        return
    fields = _fields(struct).values()
    if missing := [each.name for each in fields if each.required and each.name not in value]:
        yield path, f"{'.'.join(map(str, path))}: missing the required {', '.join(missing)}"
    for inner, problem in _struct_problems(struct, value):
        yield (*path, *inner), f"{'.'.join(map(str, path))}: {problem}"


def _field_problem(name: str, value: object, kind: Any) -> Iterator[tuple[Path, str]]:  # noqa: ANN401 - a type
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        yield (name,), f"{name}: {_explain(name, error)}"


def _suggest(name: object, known: Mapping[Any, Any]) -> str:
    if not known:
        return ""
    near = get_close_matches(str(name), known, n=1)
    return f", did you mean {near[0]}?" if near else f"; there are {', '.join(known)}"


def _explain(field: str, error: msgspec.ValidationError) -> str:
    """Reword msgspec's message for the author of a YAML file."""
    problem = str(error).partition(" - at ")[0]
    if field == "adapter" and "`str`" in problem:
        shipped = ", ".join(sorted(SHORT_NAMES))
        return f"Expected `str` of the form package.module:Class, or a shipped adapter ({shipped})"
    for wanted, text, hint in HINTS:
        if wanted in ("", field) and text in problem:
            return f"{problem} ({hint})"
    return problem


def route_problems(routes: Sequence[Route]) -> Iterator[tuple[int, str]]:
    """Yield the index and the problem of each route that does not go with those before it."""
    ids: dict[str, str] = {}
    paths: dict[str, str] = {}
    matches: dict[frozenset[tuple[str, str | int]], str] = {}
    for index, route in enumerate(routes):
        for variant in route.variants:
            if variant.spec.id in ids:
                yield index, f"duplicate model {variant.spec.id}"
            ids[variant.spec.id] = route.name
        problems = (p for variant in route.variants for p in _reserved_fields(route, variant.spec))
        yield from ((index, problem) for problem in dict.fromkeys(problems))
        if route.path is not None:
            if route.path in paths:
                yield index, f"{paths[route.path]} and {route.name} have the same path {route.path}"
            paths[route.path] = route.name
        if route.match is not None:
            key = frozenset(route.match.items())
            if key in matches:
                both = f"{matches[key]} and {route.name}"
                yield index, f"{both} match the same messages: {route.match}"
            matches[key] = route.name


def _reserved_fields(route: Route, spec: Any) -> Iterator[str]:  # noqa: ANN401
    """Find two fields of one name in a result: copied fields, the output, the envelope."""
    envelope = {*ENVELOPE, *((VARIANT, VARIANT_FORCED) if route.is_split else ())}
    envelope |= {FEATURES} if spec.lookup else set()
    if spec.result in envelope:
        yield f"result: {spec.result!r} is a reserved field of every result"
    # With `echo: all`, message fields with reserved names are dropped, not refused.
    echo = () if spec.echo == "all" else spec.echo
    for key, names in ("id_field", (spec.id_field,)), ("match", spec.match), ("echo", echo):
        if spec.result in names:
            yield f"result: results already have {spec.result!r}, copied for {key}"
        if reserved := sorted(envelope.intersection(filter(None, names))):
            quoted = ", ".join(map(repr, reserved))
            yield f"{key}: {quoted} is a reserved field of every result"
