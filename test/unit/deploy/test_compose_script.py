"""compose.sh finds an engine and its Compose, or says in a line what to do without."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "deploy/local/compose.sh"
NEEDED = "cat", "dirname", "echo", "printf", "tail"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A folder that is the whole path: no docker, only what a shell needs."""
    for name in NEEDED:
        (tmp_path / name).symlink_to(shutil.which(name) or f"/bin/{name}")
    return tmp_path


def program(path: Path, name: str, script: str) -> None:
    """Put a program on the path."""
    (path / name).write_text(f"#!/bin/sh\n{script}\n")
    (path / name).chmod(0o755)


def run(path: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Run the script with nothing but that path."""
    return subprocess.run(
        ["/bin/sh", SCRIPT, command],
        env={"PATH": str(path), "STACK": "s"},
        capture_output=True,
        text=True,
        check=False,
    )


class TestNoEngine:
    """Without an engine there is one line, which names what works without."""

    @pytest.mark.parametrize("command", ["up", "app", "produce-input", "down", "engine"])
    def test_no_docker(self, command: str, path: Path) -> None:
        """Where there is no docker at all, whatever was asked for."""
        done = run(path, command)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == "There is no docker here. Without it: make demo\n"

    def test_engine_does_not_run(self, path: Path) -> None:
        """Where its engine does not answer, with its own words."""
        program(path, "docker", "echo Client: 28; echo 'Cannot connect. Does it run?' >&2; exit 1")
        done = run(path, "up")
        assert (done.returncode, done.stdout) == (1, "")
        said = "No Docker engine answers (Cannot connect. Does it run?). Without one: make demo\n"
        assert done.stderr == said

    def test_no_compose(self, path: Path) -> None:
        """Where neither Compose is installed."""
        program(path, "docker", "[ $1 != compose ]")
        done = run(path, "up")
        assert done.returncode == 1
        assert "Neither 'docker compose' nor docker-compose is here" in done.stderr
        assert "make demo" in done.stderr


class TestCompose:
    """Docker's own Compose is taken where it is, else the older program."""

    def test_plugin(self, path: Path) -> None:
        """`docker compose` wins over docker-compose."""
        program(path, "docker", 'echo "docker $*"')
        program(path, "docker-compose", 'echo "docker-compose $*"')
        done = run(path, "logs")
        assert done.returncode == 0
        assert done.stdout.startswith("docker compose -p s-app -f app/docker-compose.yml logs")

    def test_older_program(self, path: Path) -> None:
        """docker-compose is found where docker knows no `compose`."""
        program(path, "docker", '[ $1 != compose ] && echo "docker $*"')
        program(path, "docker-compose", 'echo "docker-compose $*"')
        done = run(path, "logs")
        assert done.returncode == 0
        assert done.stdout.startswith("docker-compose -p s-app -f app/docker-compose.yml logs")

    def test_kafka_does_not_run(self, path: Path) -> None:
        """What needs the broker says how to get it."""
        program(path, "docker", "[ $1 != inspect ]")
        done = run(path, "consume-results")
        assert (done.returncode, done.stderr) == (1, "Kafka does not run: make kafka\n")
