"""A worker that hangs in a call of Kafka's client exits."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

HANGING = """
import threading, time
from tidemill.streaming.exactly_once import hang

hang.GRACE_S = {grace}
hang.TaskContext.get = classmethod(lambda _: {context})
with hang.exit_if_hung(0.2):
    time.sleep({inside})
for thread in threading.enumerate():
    if isinstance(thread, threading.Timer):
        thread.join()
"""
CONNECTING = """
from tidemill.settings import KafkaSettings
from tidemill.streaming.exactly_once import hang, worker
from tidemill.streaming.exactly_once.position import RunEpoch

hang.GRACE_S = 0.5 - worker.CALL_TIMEOUT_S
hang.TaskContext.get = classmethod(lambda _: object())
kafka = KafkaSettings(bootstrap_servers="{servers}")
deliver = worker.TransactionalWorker(kafka, "group", RunEpoch(1, "one"), {{}})
deliver._open_writer(worker.Group(kafka, "group"), ("in", 0))
"""


def run(program: str) -> int:
    """Run a program and return its exit code."""
    return subprocess.run([sys.executable, "-c", program], timeout=120, check=False).returncode


class TestHang:
    """librdkafka may block forever without raising an error."""

    @pytest.mark.parametrize(
        ("context", "grace", "inside", "code"),
        [
            ("object()", 0.1, 3600, os.EX_UNAVAILABLE),
            ("object()", 60, 0, 0),
            ("None", 0.1, 0.6, 0),
        ],
        ids=["hangs", "in time", "the driver"],
    )
    def test_exits(self, context: str, grace: float, inside: float, code: int) -> None:
        """A worker that hangs exits; a worker that finishes does not, and the driver never does."""
        assert run(HANGING.format(context=context, grace=grace, inside=inside)) == code

    def test_connecting(self) -> None:
        """A worker also exits if it hangs while it connects to a broker that never answers."""
        with socket.create_server(("127.0.0.1", 0)) as silent:
            servers = f"127.0.0.1:{silent.getsockname()[1]}"
            assert run(CONNECTING.format(servers=servers)) == os.EX_UNAVAILABLE
