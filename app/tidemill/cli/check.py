"""`tidemill check`."""

from __future__ import annotations

import typer
from rich.markup import escape

from tidemill.cli.options import Config, load, screen


def check(config: Config = None) -> None:
    """Check settings, Java, models, ports, broker and topics before a start."""
    from tidemill import check as checking
    from tidemill import run

    loaded = load(config)
    screen.print("[green]✓[/] settings")
    codes = {0}
    for finding in checking.check(loaded):
        sign = "[red]✗[/]" if finding.error else "[green]✓[/]"
        screen.print(f"{sign} {escape(finding.subject)}: {escape(finding.message)}", soft_wrap=True)
        if finding.hint:
            screen.print(f"  hint: {escape(finding.hint)}", soft_wrap=True)
        codes.add(run.exit_code(finding.error) if finding.error else 0)
    raise typer.Exit(max(codes))
