"""`tidemill check`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import typer
from rich.markup import escape

from tidemill.cli.options import Config, load, screen
from tidemill.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tidemill.check import CheckResult


def check(config: Config = None) -> None:
    """Check settings, Java, models, jobs, ports, broker and topics before a start."""
    from tidemill import run

    codes = {0}
    for result in _results(config):
        sign = "[red]✗[/]" if result.error else "[green]✓[/]"
        message = re.sub(f"^{re.escape(result.subject)}[: ]+", "", result.message)
        screen.print(f"{sign} {escape(result.subject)}: {escape(message)}", soft_wrap=True)
        for problem in result.error.problems if result.error else ():
            screen.print(f"  - {escape(problem)}", soft_wrap=True)
        if result.hint:
            screen.print(f"  hint: {escape(result.hint)}", soft_wrap=True)
        codes.add(run.exit_code(result.error) if result.error else 0)
    raise typer.Exit(max(codes))


def _results(config: Path | None) -> Iterator[CheckResult]:
    from tidemill import check as checking
    from tidemill import settings
    from tidemill.bootstrap.check_features import check_features
    from tidemill.bootstrap.check_jobs import check_jobs

    try:
        loaded = load(config)
    except ConfigurationError as error:
        yield checking.failed("settings", error)
        return
    file = config or settings.default_file()
    source = str(file) if file else "no config.yaml in this folder, so the defaults"
    yield checking.CheckResult("settings", source)
    yield from checking.check(loaded)
    yield from check_features(loaded)
    yield from check_jobs(loaded)
