"""Render artifacts of packed models, and what each way to keep models costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from rich.bar import Bar
from rich.table import Table
from rich.text import Text

from tidemill.terminal.escape import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.packing.artifact import Artifact
    from tidemill.packing.report import Measured

BAR_WIDTH = 30


def artifact_table(artifact: Artifact) -> Table:
    """Return a table with a row for each template."""
    manifest = artifact.manifest
    table = Table(title=f"{len(artifact):,} models")
    for name in ("kind", "models", "bytes a model", "what they have in common"):
        table.add_column(name, justify="right" if name in {"models", "bytes a model"} else "left")
    for number, template in enumerate(manifest.templates):
        parts = [part for part in manifest.parts if part.template == number]
        items, size = sum(part.items for part in parts), sum(part.file.bytes for part in parts)
        table.add_row(
            template.kind, f"{items:,}", f"{size / max(1, items):,.0f}", _common(template.content)
        )
    return table


def _common(content: msgspec.Raw) -> str:
    """Describe a template of Prophet in a few words."""
    fields = msgspec.json.decode(content)
    if "growth" not in fields:
        return ""
    parts = [f"{fields['growth']} growth", f"{fields['changepoints']} changepoints"]
    parts += [
        f"every {each['period']:g} days ({each['order']} terms)" for each in fields["seasonalities"]
    ]
    if fields["holidays"]:
        country = f" of {fields['country']}" if fields["country"] else ""
        parts.append(f"{len(fields['holidays'])} holidays{country}")
    if fields["regressors"]:
        parts.append(f"regressors {', '.join(map(visible, fields['regressors']))}")
    return ", ".join(parts)


def report_table(measured: Sequence[Measured]) -> Table:
    """Return a table with a row, and a bar, for each kind; the smallest comes first."""
    table = Table(title="What a model costs")
    table.add_column("kind")
    for name in ("bytes", "saved", "pack ms", "load and predict ms", "memory"):
        table.add_column(name, justify="right")
    table.add_column("same")
    table.add_column("bytes, to scale", width=BAR_WIDTH)
    ordered = sorted(measured, key=lambda each: each.size)
    largest = max((each.size for each in ordered), default=1.0)
    for each in ordered:
        table.add_row(
            each.kind,
            f"{each.size:,.0f}",
            f"{each.saved:.1%}",
            f"{each.pack_ms:.2f}",
            f"{each.load_ms:.2f}",
            f"{each.memory:,.0f}",
            Text("yes", "green") if each.equal else Text("no", "red"),
            Bar(largest, 0, each.size, width=BAR_WIDTH),
        )
    return table
