from __future__ import annotations

import io
import re
import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING

from rich.console import Console

from dev.demo import broker

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


class TestMakeBroker:
    """`make broker`: the demo's broker alone."""

    def test_printed_commands(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The printed commands work as they are: list, make, fill and read a topic."""
        monkeypatch.setattr(broker, "FOLDER", tmp_path / "broker")
        monkeypatch.setattr("signal.pause", lambda: None)

        def start(running: ExitStack) -> str:
            console = Console(file=io.StringIO(), record=True, width=200)
            broker.run(console, running)
            return console.export_text()

        def sh(command: str) -> str:
            """Run a command as somebody does who pasted the two exports first."""
            done = subprocess.run(
                ["sh", "-ec", f"{exports}\n{command}"],
                capture_output=True,
                text=True,
                timeout=300,
                check=True,
            )
            return done.stdout

        with ExitStack() as running:
            printed = start(running)
            exports = "\n".join(re.findall("^export .*$", printed, re.MULTILINE))
            assert exports.count("export") == 2
            (create,) = re.findall("^kafka-topics.sh .*--create.*$", printed, re.MULTILINE)
            (send,) = re.findall("^echo .*$", printed, re.MULTILINE)
            sh(create)
            listed = sh(re.sub("--create.*", "--list", create)).split()
            assert {"my-topic", "ner-input", "ner-output", "ner-output.dlq"} <= set(listed)
            sh(send)
            (read,) = re.findall("^kafka-console-consumer.sh .*$", printed, re.MULTILINE)
            read = read.replace("--topic ner-output", "--topic ner-input --max-messages 1")
            assert "Grace Hopper" in sh(read)
            assert "dlq" in sh("tidemill --help")
        with ExitStack() as running:  # again, on the same data
            (create,) = re.findall("^kafka-topics.sh .*--create.*$", start(running), re.MULTILINE)
            assert "my-topic" in sh(re.sub("--create.*", "--list", create)).split()
