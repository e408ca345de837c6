"""The example in Java, built with Maven and run against a real server."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
import server_process
from pool_processes import wait_until

from dev import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from server_process import Server

MODELS = """
models:
  - {{name: names, version: 1, adapter: "served_models:Names", sample: a, payload: text,
      match: {{to: names}}, options: {{folder: "{folder}"}}, limits: {{seconds: 600}}}}
  - {{name: upper, version: 1, adapter: "served_models:Upper", sample: a, match: {{to: upper}}}}
"""
REFUSED = 'tidemill_requests_total{protocol="grpc",status="RESOURCE_EXHAUSTED"}'
QUEUED = 'tidemill_queue_length{model="names",version="1"} 1.0'
COLOURS = re.compile(r"\x1b\[\d*m")  # which Maven prints, even to a pipe
PROTOCOL = ROOT / "app" / "tidemill" / "protocol"
TIMEOUT_S = 300

pytestmark = [
    pytest.mark.skipif(
        not (shutil.which("mvn") and shutil.which("javac")),
        reason="needs Maven (mvn) and a JDK (javac)",
    ),
]


def start(folder: Path, server: Server, model: str, *texts: str) -> subprocess.Popen[str]:
    """Start the program."""
    words = " ".join(f"'{each}'" for each in (server.address, model, *texts))
    return subprocess.Popen(
        ["mvn", "-B", "-q", "-ntp", "exec:java", f"-Dexec.args={words}"],
        cwd=folder,
        env=os.environ | {"LC_ALL": "C.UTF-8"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a copy of the example; return its folder."""
    copy = tmp_path_factory.mktemp("java") / "java"
    shutil.copytree(ROOT / "examples" / "java", copy, ignore=shutil.ignore_patterns("target"))
    command = ["mvn", "-B", "-q", "-ntp", f"-Dprotocol={PROTOCOL}", "compile"]
    done = subprocess.run(
        command, check=False, cwd=copy, capture_output=True, text=True, timeout=TIMEOUT_S
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return copy


@pytest.fixture
def server() -> Iterator[Server]:
    """Return a server with one model process, which lets one input wait."""
    limits = {"max_batch_size": 1, "max_items": 1, "max_queue": 1, "timeout": 600}
    with server_process.running(models=MODELS, processes=1, **limits) as one:
        yield one


def test_entities(folder: Path, server: Server) -> None:
    """The program prints the entities of each text; it tries again when the queue was full."""
    with server.connect_and_ask("names", "wait"):
        wait_until(lambda: "wait" in server.seen, TIMEOUT_S)
        with server.connect_and_ask("names", "wait, too"):
            wait_until(lambda: QUEUED.encode() in server.send("/metrics").body, TIMEOUT_S)
            program = start(folder, server, "names", "Grüße aus Wien")
            wait_until(lambda: REFUSED.encode() in server.send("/metrics").body, TIMEOUT_S)
            server.open_gate()
            output, _ = program.communicate(timeout=TIMEOUT_S)
    assert program.returncode == 0, output
    assert COLOURS.sub("", output).split("\n")[:2] == ["Grüße aus Wien", "  NAME: Grüße aus Wien"]


@pytest.mark.parametrize(("text", "printed"), [("a", '  "A"'), ("bad", "PredictionFailed")])
def test_other_outputs(folder: Path, server: Server, text: str, printed: str) -> None:
    """Outputs that are no entities are printed as JSON."""
    program = start(folder, server, "upper", text)
    output, _ = program.communicate(timeout=TIMEOUT_S)
    assert program.returncode == 0, output
    first, second, *_ = COLOURS.sub("", output).split("\n")
    assert first == text
    assert printed in second


def test_usage(folder: Path, server: Server) -> None:
    """Without a text, the program says how to use it."""
    program = start(folder, server, "upper")
    output, _ = program.communicate(timeout=TIMEOUT_S)
    assert program.returncode == 2
    assert "usage: FindEntities HOST:PORT MODEL TEXT..." in output


def test_error(folder: Path, server: Server) -> None:
    """An error that another try cannot help ends the program at once, with its reason."""
    program = start(folder, server, "name", "a")
    output, _ = program.communicate(timeout=TIMEOUT_S)
    assert program.returncode == 1
    assert "NOT_FOUND" in output
    assert "there is no model 'name'" in output
