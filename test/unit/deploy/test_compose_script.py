"""compose.sh finds Docker and Compose, or says in one line what to do without them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "deploy/local/compose.sh"
NEEDED = "cat", "dirname", "echo", "printf", "tail"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A PATH of one folder without docker: it has only what a shell needs."""
    for name in NEEDED:
        (tmp_path / name).symlink_to(shutil.which(name) or f"/bin/{name}")
    return tmp_path


def program(path: Path, name: str, script: str) -> None:
    """Add a program to the PATH."""
    (path / name).write_text(f"#!/bin/sh\n{script}\n")
    (path / name).chmod(0o755)


def run(path: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Run the script with only that PATH."""
    return subprocess.run(
        ["/bin/sh", SCRIPT, command],
        env={"PATH": str(path), "STACK": "s"},
        capture_output=True,
        text=True,
        check=False,
    )


class TestNoEngine:
    """Without an engine, the script prints one line, which names what does without."""

    @pytest.mark.parametrize("command", ["up", "app", "produce-input", "down", "engine"])
    def test_no_docker(self, command: str, path: Path) -> None:
        """Every command fails if there is no docker."""
        done = run(path, command)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == "There is no docker here. Without it: make demo\n"

    def test_servers(self, path: Path) -> None:
        """For servers it names `tidemill serve` in its place."""
        done = run(path, "up-serving")
        assert done.stderr == "There is no docker here. Without it: tidemill serve\n"

    def test_engine_does_not_run(self, path: Path) -> None:
        """If the engine does not answer, the line quotes docker's message."""
        program(path, "docker", "echo Client: 28; echo 'Cannot connect. Does it run?' >&2; exit 1")
        done = run(path, "up")
        assert (done.returncode, done.stdout) == (1, "")
        message = (
            "No Docker engine answers (Cannot connect. Does it run?). Without one: make demo\n"
        )
        assert done.stderr == message

    def test_no_compose(self, path: Path) -> None:
        """Without any Compose, the script names both."""
        program(path, "docker", "[ $1 != compose ]")
        done = run(path, "up")
        assert done.returncode == 1
        assert "Neither 'docker compose' nor docker-compose is here" in done.stderr
        assert "make demo" in done.stderr


class TestCompose:
    """The script prefers docker's Compose plugin to the older program."""

    def test_plugin(self, path: Path) -> None:
        """`docker compose` is preferred to docker-compose."""
        program(path, "docker", 'echo "docker $*"')
        program(path, "docker-compose", 'echo "docker-compose $*"')
        done = run(path, "logs")
        assert done.returncode == 0
        assert done.stdout.startswith("docker compose -p s-app -f app/docker-compose.yml logs")

    def test_older_program(self, path: Path) -> None:
        """docker-compose is used if docker has no `compose` command."""
        program(path, "docker", '[ $1 != compose ] && echo "docker $*"')
        program(path, "docker-compose", 'echo "docker-compose $*"')
        done = run(path, "logs")
        assert done.returncode == 0
        assert done.stdout.startswith("docker-compose -p s-app -f app/docker-compose.yml logs")

    def test_kafka_does_not_run(self, path: Path) -> None:
        """A command that needs the broker says how to start it."""
        program(path, "docker", "[ $1 != inspect ]")
        done = run(path, "consume-results")
        assert (done.returncode, done.stderr) == (1, "Kafka does not run: make kafka\n")
