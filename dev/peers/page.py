"""Draw the results: a table for the terminal, and the page docs/peers.md."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.table import Table

from dev.peers.results import CANNOT, DIFFERS, ORDER

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dev.peers.results import Result
    from dev.peers.suites import Suite

    Found = Sequence[tuple[Suite, Sequence[Result]]]

TEMPLATE: Final = Path(__file__).with_name("page.template.md")
MAX_NAMES: Final = 6


def table(found: Found) -> Table:
    """Return a table of how many tests had each outcome."""
    drawn = Table("suite", "version")
    for outcome in ORDER:
        drawn.add_column(outcome, justify="right")
    for suite, results in found:
        drawn.add_row(suite.title, suite.version, *map(str, _counts(results)))
    return drawn


def page(found: Found) -> str:
    """Return the page as Markdown."""
    shown = ORDER[:-1]  # a page is for results without failures
    lines = [f"| suite | version | {' | '.join(shown)} |", f"|---|---|{'---:|' * len(shown)}"]
    for suite, results in found:
        numbers = " | ".join(map(str, _counts(results)[:-1]))
        lines.append(f"| {suite.title} | {suite.version} | {numbers} |")
    return TEMPLATE.read_text("utf-8").format(
        table="\n".join(lines),
        differs="\n\n".join(_reasons(found, DIFFERS)),
        cannot="\n\n".join(_reasons(found, CANNOT)),
    )


def _counts(results: Sequence[Result]) -> list[int]:
    counts = Counter(each.outcome for each in results)
    return [counts[outcome] for outcome in ORDER]


def _reasons(found: Found, outcome: str) -> Iterator[str]:
    """Yield each suite's reasons, and the tests that have them."""
    for suite, results in found:
        tests: dict[str, list[str]] = {}
        for each in results:
            if each.outcome == outcome:
                name = each.test.rpartition("::")[2].partition("[")[0]
                tests.setdefault(each.reason, []).append(name)
        if tests:
            lines = [f"- {_listed(names)}: {reason}." for reason, names in tests.items()]
            yield "\n".join([f"{suite.title}:", "", *lines])


def _listed(names: Sequence[str]) -> str:
    """Return distinct names, or how many there are."""
    distinct = list(dict.fromkeys(names))
    if len(distinct) > MAX_NAMES:
        return f"{len(names)} tests"
    return ", ".join(f"`{name}`" for name in distinct)
