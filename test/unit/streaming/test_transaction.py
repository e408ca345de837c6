"""A transaction that hangs ends its worker."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

HANGS = """
import threading, time
from app.streaming import transaction

transaction.GRACE_S = {grace}
transaction.TaskContext.get = classmethod(lambda _: {context})
with transaction._ended_where_it_hangs(0.2):
    time.sleep({inside})
for thread in threading.enumerate():
    if isinstance(thread, threading.Timer):
        thread.join()
"""
TAKES = """
from app.settings import KafkaSettings
from app.streaming import transaction
from app.streaming.position import Run

transaction.GRACE_S = 0.5 - transaction.PATIENCE
transaction.TaskContext.get = classmethod(lambda _: object())
kafka = KafkaSettings(bootstrap_servers="{servers}")
deliver = transaction.ExactlyOnce(kafka, "group", Run(1, "one"), {{}})
deliver._take(transaction.Group(kafka, "group"), ("in", 0))
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
