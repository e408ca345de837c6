"""Write bench/RESULTS.md from bench/results.json."""

from __future__ import annotations

from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from bench import (
    batch_tables,
    forecast_tables,
    growth_tables,
    results,
    speed_tables,
    store_tables,
    task_tables,
)

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = Path(__file__).with_name("RESULTS.md")
TEMPLATE = Path(__file__).with_name("RESULTS.template.md")
NOT_YET = "Not measured yet."


def machine(content: dict[str, Any]) -> str:
    """Describe the machine, the versions, the dates and the load."""
    parts = []
    for part in content.values():
        parts += part if isinstance(part, list) else [part]
    if not parts:
        return "no machine yet"
    machines = {
        f"{on['cores']} cores of {on['cpu']}, Linux {on['kernel']}, Python {on['python']}, "
        f"Spark {on['spark']}, Kafka {on['kafka']}"
        for on in (part["machine"] for part in parts)
    }
    days = sorted(part["date"][:10] for part in parts)
    loads = sorted(part["load"] for part in parts)
    return (
        f"{'; '.join(sorted(machines))}; {days[0]} to {days[-1]}; load average (5 minutes) of the "
        f"whole machine from {loads[0]} to {loads[-1]}"
    )


def write() -> None:
    """Write the page and its plots."""
    content = results.read()
    parts: dict[str, Callable[[Any], str]] = {
        "throughput": speed_tables.throughput,
        "skew": speed_tables.skew,
        "latency": speed_tables.latency,
        "floor": speed_tables.floor,
        "scale": growth_tables.scale,
        "memory": growth_tables.memory,
        "models": growth_tables.models,
        "schemas": speed_tables.schemas,
        "catalogue": growth_tables.catalogue,
        "serving": speed_tables.serving,
        "forecast": forecast_tables.forecast,
        "batch": batch_tables.batch,
        "store": store_tables.store,
        "tasks": task_tables.tasks,
    }
    tables = dict.fromkeys(parts, NOT_YET)
    for name, part in parts.items():
        if name in content:
            entry = content[name]
            tables[name] = part(entry if isinstance(entry, list) else entry["found"])
    page = Template(TEMPLATE.read_text("utf-8")).substitute(
        tables,
        machine=machine(content),
        texts=" and ".join(sorted({f"{one['texts']:,}" for one in content.get("throughput", [])}))
        or "none yet",
    )
    PAGE.write_text(page, "utf-8")


if __name__ == "__main__":
    write()
