"""`tidemill predict --endpoint`: servers run the models, and the output stays the same."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import server_process
from pool_processes import wait_until
from served_models import MODELS
from server_process import TIMEOUT

if TYPE_CHECKING:
    from pathlib import Path

    from server_process import Server

VARYING = {"ts_start", "ts_end", "process_time"}
LINES: list[Any] = [
    {"uuid": 1, "to": "upper", "text": "é"},
    {"uuid": 2, "to": "upper", "text": "bad"},
    {"uuid": 3, "to": "score", "x": 1.0, "name": "a"},
    {"uuid": 4, "to": "score", "x": 1},
    {"uuid": 5, "to": "sum", "y": 1},
    {"uuid": 6, "v": 1, "text": "version 1"},
    {"uuid": 7, "v": 2, "text": "version 2"},
    *({"uuid": n, "to": "ab", "text": f"{n}"} for n in range(20)),
    {"uuid": 30, "to": "ab", "tidemill.variant": "two"},
    {"uuid": 31, "to": "nobody"},
    {"uuid": 32, "to": "upper"},
    "not an object",
    {"uuid": 33, "zone": 2, "kind": "TAXI", "text": "a"},
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with models and lines."""
    (tmp_path / "models.yaml").write_text(MODELS.format(folder=tmp_path))
    (tmp_path / "token").write_text(" sixteen-or-more-characters\n")
    (tmp_path / "lines").write_text("".join(json.dumps(line) + "\n" for line in LINES))
    return tmp_path


def command(folder: Path, *arguments: str) -> list[str]:
    """Return the command with files in a folder."""
    files = {"--input": "lines", "--output": "results", "--dead-letters": "dead"}
    named = [text for option, file in files.items() for text in (option, str(folder / file))]
    return [sys.executable, "-m", "tidemill", "predict", *named, *arguments]


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of a command."""
    return os.environ | {"TIDEMILL__MODELS": str(folder / "models.yaml"), "COLUMNS": "200"}


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    return subprocess.run(
        command(folder, *arguments),
        env=environment(folder),
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
    )


def outcomes(folder: Path) -> list[list[Any]]:
    """Return all results and dead letters, without their times; remove the files."""
    found = []
    for name in ("results", "dead"):
        lines = (folder / name).read_text().splitlines()
        found.append(
            [{k: v for k, v in json.loads(line).items() if k not in VARYING} for line in lines]
        )
        (folder / name).unlink()
    return found


@pytest.mark.parametrize("kind", ["http", "grpc"])
def test_same(server: Server, folder: Path, kind: str) -> None:
    """Results and dead letters are those of models in this process; the exit code is 3, always."""
    local = run(folder)
    assert local.returncode == 0, local.stderr
    expected = outcomes(folder)
    url = {"http": f"http://127.0.0.1:{server.port}", "grpc": f"grpc://{server.address}"}[kind]
    remote = run(folder, "--endpoint", url, "--batch-size", "3")
    assert remote.returncode == 3, remote.stderr
    got = outcomes(folder)
    for letter in [*expected[1], *got[1]]:
        letter["headers"] = {
            name: text for name, text in letter["headers"].items() if "time" not in name
        }
    assert got == expected
    again = run(folder, "--endpoint", url)
    assert again.returncode == 3, again.stderr
    resumed = run(folder, "--endpoint", url, "--resume")
    assert resumed.returncode == 3, resumed.stderr
    assert len(outcomes(folder)[1]) == 6
    assert len(expected[0]) > 20
    assert len(expected[1]) == 6


def test_resumed(folder: Path) -> None:
    """After a server and a run were killed, a second run answers the rest: each line once."""
    texts = [f"text {n}" for n in range(600)]
    lines = [json.dumps({"uuid": n, "to": "upper", "text": text}) for n, text in enumerate(texts)]
    lines[300] = json.dumps({"uuid": 300, "to": "gate", "text": "wait"})  # the first run ends here
    (folder / "lines").write_text("\n".join(lines))
    results = folder / "results"
    with server_process.running(processes=1) as one:
        url = f"http://127.0.0.1:{one.port}"
        options = ("--endpoint", url, "--batch-size", "1", "--concurrency", "1")
        first = subprocess.Popen(command(folder, *options), env=environment(folder))
        wait_until(lambda: results.exists() and results.read_text().count("\n") > 5, TIMEOUT)
        first.send_signal(signal.SIGKILL)
        first.wait(TIMEOUT)
        before = results.read_text().count("\n")
        assert before < len(texts)
    down = run(folder, *options, "--timeout", "3", "--resume")
    assert down.returncode == 1
    assert f"127.0.0.1:{one.port}" in down.stderr
    assert "--resume" in down.stderr
    with server_process.running(processes=1) as other:
        other.open_gate()
        done = run(folder, "--endpoint", f"grpc://{other.address}", "--resume")
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["uuid"] for line in results.read_text().splitlines()] == [
        *range(len(texts))
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--endpoint", "localhost"], "the scheme must be one of"),
        (["--endpoint", "http://models", "--token-file", "{folder}/token"], "unencrypted"),
        (["--endpoint", "http://localhost", "--token-file", "{folder}/lines"], "white space"),
        (["--endpoint", "http://localhost", "--token-file", "{folder}/none"], "--token-file"),
    ],
)
def test_wrong(folder: Path, arguments: list[str], words: str) -> None:
    """Wrong options end the command with exit code 2 and a hint."""
    done = run(folder, *(each.format(folder=folder) for each in arguments))
    assert done.returncode == 2
    assert words in done.stderr


def test_files(folder: Path) -> None:
    """Without --resume existing files stay; with it, they must be those of a run."""
    (folder / "results").write_text("precious")
    done = run(folder)
    assert (done.returncode, (folder / "results").read_text()) == (2, "precious")
    assert "--resume" in done.stderr
    assert not (folder / "dead").exists()
    (folder / "dead").write_text("")
    done = run(folder, "--resume")
    assert (done.returncode, (folder / "results").read_text()) == (2, "precious")
    (folder / "results").write_text("")
    (folder / "dead").write_text("no letter\n")
    done = run(folder, "--resume")
    assert done.returncode == 2
    assert "not dead letters" in done.stderr


def test_input_stays(folder: Path) -> None:
    """The input is not an output, whatever its name."""
    lines = (folder / "lines").read_text()
    (folder / "link").symlink_to(folder / "lines")
    for option in ("--output", "--dead-letters"):
        done = run(folder, "--resume", option, str(folder / "link"))
        assert done.returncode == 2
        assert "it is the input" in done.stderr
    done = run(folder, "--resume", "--output", str(folder / "dead"))
    assert done.returncode == 2
    assert (folder / "lines").read_text() == lines
    assert not (folder / "dead").exists()
