"""A transaction that hangs ends its worker."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

HANGS = """
import threading, time
from tidemill.streaming.exactly_once import delivery

delivery.GRACE_S = {grace}
delivery.TaskContext.get = classmethod(lambda _: {context})
with delivery._ended_where_it_hangs(0.2):
    time.sleep({inside})
for thread in threading.enumerate():
    if isinstance(thread, threading.Timer):
        thread.join()
"""
TAKES = """
from tidemill.settings import KafkaSettings
from tidemill.streaming.exactly_once import delivery
from tidemill.streaming.exactly_once.position import Run

delivery.GRACE_S = 0.5 - delivery.PATIENCE
delivery.TaskContext.get = classmethod(lambda _: object())
kafka = KafkaSettings(bootstrap_servers="{servers}")
deliver = delivery.ExactlyOnce(kafka, "group", Run(1, "one"), {{}})
deliver._take(delivery.Group(kafka, "group"), ("in", 0))
"""


def run(program: str) -> int:
    """Run a program and return its exit code."""
    return subprocess.run([sys.executable, "-c", program], timeout=120, check=False).returncode


class TestHang:
    """librdkafka may wait for ever and raise nothing."""

    @pytest.mark.parametrize(
        ("context", "grace", "inside", "code"),
        [
            ("object()", 0.1, 3600, os.EX_UNAVAILABLE),
            ("object()", 60, 0, 0),
            ("None", 0.1, 0.6, 0),
        ],
        ids=["hangs", "in time", "the driver"],
    )
    def test_ends(self, context: str, grace: float, inside: float, code: int) -> None:
        """A worker that hangs exits; a worker that finishes does not, and the driver never does."""
        assert run(HANGS.format(context=context, grace=grace, inside=inside)) == code

    def test_connects(self) -> None:
        """A worker also exits if it hangs while it connects, to a broker that never answers."""
        with socket.create_server(("127.0.0.1", 0)) as silent:
            servers = f"127.0.0.1:{silent.getsockname()[1]}"
            assert run(TAKES.format(servers=servers)) == os.EX_UNAVAILABLE
