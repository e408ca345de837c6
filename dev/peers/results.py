"""Read what pytest found, from its report in JUnit's format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from pathlib import Path

PASSES, DIFFERS, CANNOT, FAILS = "passes", "differs", "cannot apply", "fails"
ORDER: Final = (PASSES, DIFFERS, CANNOT, FAILS)


class Result(NamedTuple):
    """What became of a test, and why."""

    test: str
    outcome: str
    reason: str = ""


def read(report: Path) -> list[Result]:
    """Return the results in a report."""
    return [_result(case) for case in ET.parse(report).iter("testcase")]  # noqa: S314 - ours


def _result(case: ET.Element) -> Result:
    names = [part for part in case.get("classname", "").split(".") if part.startswith("Test")]
    test = "::".join([*names, case.get("name", "")])
    for tag in ("failure", "error"):
        if (found := case.find(tag)) is not None:
            return Result(test, FAILS, (found.get("message") or "").partition("\n")[0])
    if (skipped := case.find("skipped")) is not None:
        kind = DIFFERS if skipped.get("type") == "pytest.xfail" else CANNOT
        return Result(test, kind, (skipped.get("message") or "").partition("\n")[0])
    return Result(test, PASSES)
