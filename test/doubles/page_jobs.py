"""Jobs for the tests of the page. Like users' jobs, they import nothing from the project."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

MARKUP = "</p><script>document.title='harm'</script><img src=x onerror=document.title='harm'>"
PICTURE = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 20">'
    '<rect width="40" height="20" fill="{}"/></svg>'
)
HOSTILE = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 20" onload="document.title=\'harm\'">'
    "<script>document.title='harm'; window.top.document.title='harm'</script>"
    '<image href="/metrics" width="9" height="9"/><rect width="40" height="20" fill="red"/></svg>'
)
# The section `tasks.jobs`, without the example of the shelf.
JOBS: dict[str, Any] = {
    name.lower(): {"job": f"page_jobs:{name}", "attempts": 30}
    for name in ("Form", "Paint", "Odd", "Wait", "Fail")
}

SHELF: dict[str, Any] = {"shelf-layout": {"job": "examples.shelf_layout.job:ShelfLayout"}}
MODELS = """
models: [{{name: upper, version: 1, adapter: "served_models:Upper", sample: a, match: {{to: a}}}}]
"""


@dataclass
class Person:
    """Somebody."""

    name: str
    age: int
    is_member: bool = False


@dataclass
class Place:
    """Somewhere."""

    city: str
    floor: int = 0


@dataclass
class Parameters:
    """Parameters of every kind."""

    words: str
    number: float
    place: Place
    people: list[Person]
    colour: Literal["red", "green"] = "red"
    is_quick: bool = True
    limit: int | None = None
    rest: dict[str, Any] = field(default_factory=dict)


class Form:
    """Returns what it gets."""

    def run(self, parameters: Parameters, _: Callable[..., None]) -> dict[str, Any]:
        """Return the parameters."""
        return asdict(parameters)


@dataclass
class Files:
    """The file that a job waits for."""

    file: str


class Paint:
    """Reports one picture after the other, each time after a file is there."""

    def run(self, parameters: Files, report: Callable[..., None]) -> dict[str, str]:
        """Return the last picture."""
        report(0.25, "painting", _painted("red"))
        _wait(f"{parameters.file}-1")
        report(0.5, "painting", _painted("green"))
        _wait(f"{parameters.file}-2")
        return _painted("blue")


class Wait:
    """Waits for a file."""

    def run(self, parameters: Files, report: Callable[..., None]) -> str:
        """Tell that it waits, until the file is there."""
        report(0.25, "waiting for the file")
        _wait(parameters.file)
        return "done"


class Odd:
    """Reports markup, and a picture that tries to run a script."""

    def run(self, parameters: Files, report: Callable[..., None]) -> None:
        """Wait, and fail with markup."""
        report(0.5, MARKUP, {"svg": HOSTILE, "alt": MARKUP, MARKUP: MARKUP})
        _wait(parameters.file)
        error = ValueError(MARKUP)
        error.add_note(f"hint: {MARKUP}")
        raise error


class Fail:
    """Fails at once."""

    def run(self, _: dict[str, Any], __: Callable[..., None]) -> None:
        """Raise an error with a hint."""
        error = ValueError("no shelf is long enough")
        error.add_note("Lengthen a shelf.")
        raise error


def _painted(colour: str) -> dict[str, str]:
    return {"svg": PICTURE.format(colour), "alt": f"a {colour} wall", "colour": colour}


def _wait(file: str) -> None:
    while not Path(file).exists():
        time.sleep(0.02)
