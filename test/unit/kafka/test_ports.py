"""Ports for servers of tests, of which no two processes get the same."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from dev import ROOT
from dev.kafka import ports

if TYPE_CHECKING:
    import pytest

OTHER = """
import sys
from dev.kafka import ports

ports.CANDIDATES = [int(port) for port in sys.argv[1:]]
print(*ports.free_ports(9))
"""


def other_gets(candidates: list[int]) -> set[int]:
    """Return the ports that another process gets of some."""
    command = [sys.executable, "-c", OTHER, *map(str, candidates)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    return set(map(int, done.stdout.split()))


def test_given_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port is given to nobody else, here or in another process, before a server listens on it."""
    mine, rest = ports.free_ports(3), ports.CANDIDATES[:100]
    monkeypatch.setattr(ports, "CANDIDATES", mine)
    assert ports.free_ports(9) == []
    others = other_gets([*mine, *rest])
    assert others
    assert not others & {*mine}
