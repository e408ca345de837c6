from __future__ import annotations

import os
import resource
from typing import TYPE_CHECKING

import pytest

from tidemill.models import machine

if TYPE_CHECKING:
    from pathlib import Path

GIB = 2**30


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("max 100000", 6), ("150000 100000", 2), ("50000 100000", 1), ("900000 100000", 6), ("", 6)],
)
def test_cores(quota: str, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of cores respects the affinity, and a container's limit."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)))
    monkeypatch.setattr(machine, "CPU_QUOTA", tmp_path / "cpu.max")
    if quota:
        (tmp_path / "cpu.max").write_text(f"{quota}\n")
    assert machine.cores() == expected


@pytest.mark.parametrize(
    ("container", "addresses", "expected"),
    [
        ("max", resource.RLIM_INFINITY, 16),
        (f"{6 * GIB}", resource.RLIM_INFINITY, 3),
        ("max", 12 * GIB, 6),
        (f"{6 * GIB}", 12 * GIB, 3),
        ("", 64 * GIB, 16),
    ],
)
def test_model_memory(
    container: str,
    addresses: int,
    expected: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Models may take half of the machine, of the container, or of a process's addresses."""
    monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 8 << 20}.get)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (addresses, addresses))
    monkeypatch.setattr(machine, "CGROUP_LIMIT", tmp_path / "memory.max")
    if container:
        (tmp_path / "memory.max").write_text(f"{container}\n")
    assert machine.model_memory() == expected * GIB
