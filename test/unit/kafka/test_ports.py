"""Ports for servers of tests, of which several processes may start some at the same time."""

from __future__ import annotations

import subprocess
import sys

from dev.kafka import ports

OTHER = """
from dev.kafka import ports
ports.CANDIDATES = range({0}, {0} + 1)
print(ports.is_free({0}), ports.free_ports(1))
"""


def test_other_process() -> None:
    """A port that this process has chosen is chosen by no other one, although it is free."""
    (port,) = ports.free_ports(1)
    command = [sys.executable, "-c", OTHER.format(port)]
    assert subprocess.check_output(command, text=True) == "True []\n"


def test_different() -> None:
    """The ports of one call differ, and are free."""
    found = ports.free_ports(50)
    assert len({*found}) == 50
    assert all(map(ports.is_free, found))
