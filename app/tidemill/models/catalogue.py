"""Read models.yaml: its entries become routes to models."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tidemill import yaml_file
from tidemill.errors import InvalidModels
from tidemill.models import validation
from tidemill.models.entry import EntryError, ModelsFile
from tidemill.models.expand import expand

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidemill.inference.route import Route
    from tidemill.yaml_file import Document

MISSING = "The setting `models` names this file: create or correct it."


@contextmanager
def _no_collection() -> Iterator[None]:
    """Pause the garbage collector, which would look through the growing document again and again.

    Reading 10,000 entries takes 3 seconds instead of 9.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@_no_collection()
def load_models(path: Path | str, *, may_be_empty: bool = False) -> tuple[Route, ...]:
    """Return the routes that the entries of a models.yaml describe.

    The models themselves are not loaded. If it `may_be_empty`, `models: []` describes none.

    Raises:
        SettingsFileUnreadable: The file does not exist or is not YAML.
        InvalidModels: The error names everything that is wrong, with its line.

    """
    path = Path(path)
    document = yaml_file.load(path, MISSING)
    if may_be_empty and document.value == {"models": []}:
        return ()
    problems = [(line, f"line {line}: {problem}") for line, problem in document.problems]
    problems += _written_problems(document)
    if not problems:
        routes, problems = _routes(document, path.parent.absolute())
    if problems:
        raise InvalidModels(path, *(problem for _, problem in sorted(problems)))
    return routes


def _written_problems(document: Document) -> list[tuple[int, str]]:
    """Return the line and the description of everything that is wrong with what is written."""
    value = document.value
    problems = [
        (line := document.line(*place), f"line {line}: {problem}" if place else problem)
        for place, problem in validation.file_problems(value)
    ]
    entries = value.get("models") if isinstance(value, dict) else None
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        for place, problem in validation.entry_problems(entry):
            problems.append(_describe(document, index, place, problem))
    return problems


def _routes(document: Document, folder: Path) -> tuple[tuple[Route, ...], list[tuple[int, str]]]:
    """Return the routes, and the line and the description of everything that is wrong."""
    file = msgspec.convert(_normalized(document.value), ModelsFile)
    routes: list[Route] = []
    owners: list[int] = []  # the index of each route's entry
    problems = []
    for index, entry in enumerate(file.models):
        fields = None if entry.endpoint is None else file.endpoints.get(entry.endpoint)
        try:
            found = list(expand(entry, fields, folder))
        except EntryError as error:
            problem = f"{'.'.join(map(str, error.path))}: {error}"
            problems.append(_describe(document, index, error.path, problem))
            continue
        routes += found
        owners += [index] * len(found)
    for place, problem in validation.endpoint_problems(file):
        line = document.line(*place)
        problems.append((line, f"line {line}: {problem}"))
    for number, problem in validation.route_problems(routes):
        problems.append(_describe(document, owners[number], (), problem))
    return tuple(routes), problems


def _normalized(value: dict[str, Any]) -> dict[str, Any]:
    """Read a variant with nothing after its name as an empty one; drop the keys for anchors."""
    entries = [
        entry | {"variants": {name: each or {} for name, each in entry["variants"].items()}}
        if entry.get("variants")
        else entry
        for entry in value["models"]
    ]
    known = {
        name: each for name, each in value.items() if not name.startswith(validation.EXTENSION)
    }
    return known | {"models": entries}


def _describe(
    document: Document, index: int, place: tuple[str | int, ...], problem: str
) -> tuple[int, str]:
    entry = document.value["models"][index]
    name = entry.get("name") if isinstance(entry, dict) else None
    line = document.line("models", index, *place)
    label = f"line {line}: {name}" if name else f"line {line}"
    return line, f"{label}: {problem}"
