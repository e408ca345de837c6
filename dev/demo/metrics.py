"""Show some of the job's metrics, as Prometheus would scrape them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import requests
from prometheus_client.parser import text_string_to_metric_families
from rich.table import Table

if TYPE_CHECKING:
    from rich.console import Console

# A few of many; those that are 0 are not shown.
SHOWN: Final = (
    "tidemill_messages_total",
    "tidemill_results_total",
    "tidemill_dead_letters_total",
    "tidemill_batch_latency_seconds",
    "tidemill_ready",
)


def show_metrics(console: Console, url: str) -> None:
    """Show some of the metrics, and the URL of all of them."""
    table = Table(title=f"some of the metrics at {url}/metrics", title_justify="left")
    table.add_column("series")
    table.add_column("value", justify="right")
    for family in text_string_to_metric_families(requests.get(f"{url}/metrics", timeout=10).text):
        for sample in family.samples:
            if sample.name in SHOWN and sample.value:
                labels = ", ".join(f'{key}="{value}"' for key, value in sample.labels.items())
                series = f"{sample.name}{{{labels}}}" if labels else sample.name
                table.add_row(series, f"{sample.value:g}")
    console.print(table)
