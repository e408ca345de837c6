"""Keep all rounds, soaks and cost comparisons in docs/faults.json."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

import confluent_kafka
import pyspark

from dev import ROOT
from dev.kafka.distribution import VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faults.findings import Findings

FILE = ROOT / "docs" / "faults.json"
KINDS = ("rounds", "soaks", "costs", "serving", "batches", "tasks")


def read(file: Path = FILE) -> dict[str, list[dict[str, Any]]]:
    """Return all entries by their kind."""
    empty: dict[str, list[dict[str, Any]]] = {name: [] for name in KINDS}
    return empty | (json.loads(file.read_text("utf-8")) if file.exists() else {})


def add(kind: str, entry: Mapping[str, Any], file: Path = FILE) -> None:
    """Add an entry and the machine that it is from. Replace the file atomically."""
    content = read(file)
    content[kind].append({**entry, "machine": machine()})
    lists = (
        f' "{name}": [\n' + ",\n".join(f"  {json.dumps(one)}" for one in entries) + "\n ]"
        for name, entries in content.items()
    )
    draft = file.with_suffix(".draft")
    draft.write_text("{\n" + ",\n".join(lists) + "\n}\n", "utf-8")
    draft.replace(file)


def entry(findings: Findings) -> dict[str, Any]:
    """Return a round's entry: counts, and evidence if a promise was broken."""
    verdict = findings.verdict
    assert verdict is not None
    return {
        "date": findings.date,
        "mode": findings.mode,
        "engine": findings.engine,
        "seconds": findings.seconds,
        "load": round(os.getloadavg()[1], 1),
        "messages": verdict.inputs,
        "outcomes": verdict.outcomes,
        "samples": findings.samples,
        "faults": {kind: len(messages) for kind, messages in verdict.faults.items()}
        | ({"ahead": len(findings.ahead)} if findings.ahead else {}),
        "holds": findings.holds,
        "evidence": [] if findings.holds else str(findings).splitlines(),
        "ended": findings.unexpected,
        "kills": [[kill.target, kill.point, kill.first, kill.every] for kill in findings.kills],
    }


def machine() -> dict[str, Any]:
    """Return the hardware and the versions that figures depend on."""
    cpu = Path("/proc/cpuinfo").read_text("utf-8") if Path("/proc/cpuinfo").exists() else ""
    names = [line.partition(":")[2].strip() for line in cpu.splitlines() if "model name" in line]
    return {
        "cores": os.cpu_count(),
        "cpu": names[0] if names else platform.machine(),
        "kernel": ".".join(platform.release().split(".")[:2]),
        "python": platform.python_version(),
        "spark": pyspark.__version__,
        "kafka": VERSION,
        "librdkafka": confluent_kafka.libversion()[0],
    }
