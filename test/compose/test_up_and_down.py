"""`make up` and what follows it, on a real engine, as the README says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from dev.containers.stack import BUILD_S

if TYPE_CHECKING:
    from dev.containers.stack import Stack

pytestmark = pytest.mark.timeout(BUILD_S)


def results(printed: str) -> list[dict[str, Any]]:
    """Return the results in what `make consume-results` printed."""
    return [json.loads(line) for line in printed.splitlines() if line.startswith("{")]


@pytest.fixture(scope="module")
def answered(stack: Stack) -> str:
    """What is printed where the whole line runs for the first time."""
    return stack.make("up", "produce-input", "consume-results")


class TestFirstRun:
    """From nothing to results in one line."""

    def test_results(self, answered: str) -> None:
        """Each message that a model can answer has a result."""
        found = results(answered)
        assert len({result["uuid"] for result in found}) == len(found) == 12
        assert {result["lang"] for result in found} == {"en", "fr"}
        assert "Ada Lovelace" in {name["entity"] for result in found for name in result["ner"]}

    def test_dead_letters(self, stack: Stack, answered: str) -> None:
        """The others are dead letters: the message as it came, and why in a header."""
        printed = stack.make("consume-dead-letters")
        assert "this line is not JSON, and the stream goes on" in printed
        for error in ("InvalidJson", "NoModel", "MissingField"):
            assert printed.count(f"tidemill.error.class:{error}") == 1

    def test_command_line(self, stack: Stack, answered: str) -> None:
        """The container has Tidemill's commands, with the job's settings."""
        lag = json.loads(stack.docker("exec", f"{stack.name}-app", "tidemill", "lag", "--json"))
        assert lag["total"]["lag"] == 0

    def test_metrics(self, stack: Stack, answered: str) -> None:
        """Prometheus has what the job pushed, and no alert."""
        stack.wait_for("sum(tidemill_results_total)", 12)
        assert stack.asked("count(spark_BlockManager_memory_maxMem_MB_Value)") == [1]
        assert stack.asked("count(ALERTS)") == []


class TestSecureByDefault:
    """Nobody gets more than is needed."""

    def test_ports(self, stack: Stack, answered: str) -> None:
        """Ports are published to this machine alone."""
        for container in stack.left("container"):
            for line in stack.docker("port", container).splitlines():
                assert line.split(" -> ")[1].startswith("127.0.0.1:"), (container, line)

    def test_not_root(self, stack: Stack, answered: str) -> None:
        """The job is not root, and cannot change its own code."""
        inside = "exec", f"{stack.name}-app", "sh", "-c"
        assert stack.docker(*inside, "id -u").strip() == "10001"
        assert stack.docker(*inside, "touch /app/x || echo refused").strip() == "refused"


class TestRestart:
    """`make app` starts the job anew, with the code as it is now, where it had been."""

    def test_code_and_checkpoint(self, stack: Stack, answered: str) -> None:
        """A change in the mounted folder runs, and nothing is answered again."""
        assert 'version="0.1.0"' in stack.metrics()
        module = stack.folder / "app/tidemill/__init__.py"
        module.write_text(module.read_text().replace("0.1.0", "0.1.0+changed"))
        printed = stack.make("app", "produce-input", "consume-results")
        assert 'version="0.1.0+changed"' in stack.metrics()
        assert len(results(printed)) == 24

    def test_down_and_up(self, stack: Stack, answered: str) -> None:
        """Messages and checkpoint outlast the containers, and go only when told."""
        before = len(results(stack.make("consume-results")))
        mounted = set(stack.mounted())
        stack.make("down")
        kept = mounted & set(stack.docker("volume", "ls", "--quiet").split())
        assert kept == set(stack.left("volume"))
        assert [stack.left(what) for what in ("container", "network")] == [[], []]
        printed = stack.make("up", "produce-input", "consume-results")
        assert len(results(printed)) == before + 12
        stack.make("down", WIPE="1")
        assert stack.left("volume") == []
