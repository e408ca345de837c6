"""Run `make up` and the commands after it on a real engine, as the README describes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from dev.containers.stack import BUILD_S

if TYPE_CHECKING:
    from dev.containers.stack import Stack

pytestmark = pytest.mark.timeout(BUILD_S)


def results(printed: str) -> list[dict[str, Any]]:
    """Return the results in the output of `make consume-results`."""
    return [json.loads(line) for line in printed.splitlines() if line.startswith("{")]


@pytest.fixture(scope="module")
def answered(stack: Stack) -> str:
    """The output of the first run: start, send, read the results."""
    return stack.make("up", "produce-input", "consume-results")


class TestFirstRun:
    """One command line leads from nothing to results."""

    def test_results(self, answered: str) -> None:
        """Each message that a model can answer has a result."""
        answers = results(answered)
        assert len({result["uuid"] for result in answers}) == len(answers) == 12
        assert {result["lang"] for result in answers} == {"en", "fr"}
        assert "Ada Lovelace" in {name["entity"] for result in answers for name in result["ner"]}

    def test_dead_letters(self, stack: Stack, answered: str) -> None:
        """The others are dead letters: the message unchanged, with the reason in a header."""
        printed = stack.make("consume-dead-letters")
        assert "this line is not JSON, and the stream goes on" in printed
        for error in ("InvalidJson", "NoModel", "MissingField"):
            assert printed.count(f"tidemill.error.class:{error}") == 1

    def test_command_line(self, stack: Stack, answered: str) -> None:
        """The container has Tidemill's commands and the job's settings."""
        lag = json.loads(stack.docker("exec", f"{stack.name}-app", "tidemill", "lag", "--json"))
        assert lag["total"]["lag"] == 0

    def test_metrics(self, stack: Stack, answered: str) -> None:
        """Prometheus has the job's metrics and no alert."""
        stack.wait_for("sum(tidemill_results_total)", 12)
        assert stack.query("count(spark_BlockManager_memory_maxMem_MB_Value)") == [1]
        assert stack.query("count(ALERTS)") == []


class TestSecureByDefault:
    """Containers get no more rights than they need."""

    def test_ports(self, stack: Stack, answered: str) -> None:
        """Ports are published to this machine only."""
        for container in stack.names("container"):
            for line in stack.docker("port", container).splitlines():
                assert line.split(" -> ")[1].startswith("127.0.0.1:"), (container, line)

    def test_not_root(self, stack: Stack, answered: str) -> None:
        """The job is not root and cannot change its own code."""
        inside = "exec", f"{stack.name}-app", "sh", "-c"
        assert stack.docker(*inside, "id -u").strip() == "10001"
        assert stack.docker(*inside, "touch /app/x || echo refused").strip() == "refused"


class TestRestart:
    """`make app` restarts the job with the current code, from its checkpoint."""

    def test_code_and_checkpoint(self, stack: Stack, answered: str) -> None:
        """A change in the mounted folder takes effect, and nothing is answered again."""
        assert 'version="0.1.0"' in stack.metrics()
        module = stack.folder / "app/tidemill/__init__.py"
        module.write_text(module.read_text().replace("0.1.0", "0.1.0+changed"))
        printed = stack.make("app", "produce-input", "consume-results")
        assert 'version="0.1.0+changed"' in stack.metrics()
        assert len(results(printed)) == 24

    def test_down_and_up(self, stack: Stack, answered: str) -> None:
        """Messages and checkpoint outlast the containers; only WIPE=1 deletes them."""
        before = len(results(stack.make("consume-results")))
        mounted = set(stack.mounted_volumes())
        stack.make("down")
        kept = mounted & set(stack.docker("volume", "ls", "--quiet").split())
        assert kept == set(stack.names("volume"))
        assert [stack.names(kind) for kind in ("container", "network")] == [[], []]
        printed = stack.make("up", "produce-input", "consume-results")
        assert len(results(printed)) == before + 12
        stack.make("down", WIPE="1")
        assert stack.names("volume") == []
