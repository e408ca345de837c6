"""Load a model in a new Python process, as a worker does, and let it answer there."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from tidemill.inference.model import ModelSpec
from tidemill.models import host
from tidemill.models.isolation import procfs
from tidemill.models.pool.launch import NO_BACKGROUND_THREADS, THREAD_VARIABLES
from tidemill.testing.answers import Answer, failed, predict

if TYPE_CHECKING:
    from collections.abc import Sequence

START = f"from {__name__} import main; main()"
MAX_STDERR = 2000


class DidNotFinish(Exception):
    """The process ended before the model had answered."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a process found out about its model.

    Attributes:
        fork_hazards: What loading left behind that a fork cannot copy: threads, open files.
        answers: The answers to the texts, each asked alone.

    """

    fork_hazards: tuple[str, ...]
    answers: tuple[Answer, ...]


def ask(spec: ModelSpec, texts: Sequence[str]) -> Report:
    """Load an entry's model in a new process, and return its answers to texts.

    Python's hashes differ from this process's, so that an answer that depends on the order of a
    set differs too.

    Raises:
        DidNotFinish: The process failed.

    """
    hash_seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    done = subprocess.run(
        [sys.executable, "-c", START],
        input=msgspec.json.encode((spec, texts)),
        env={
            **os.environ,
            **dict.fromkeys(THREAD_VARIABLES, "1"),
            **NO_BACKGROUND_THREADS,
            "PYTHONHASHSEED": hash_seed,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        },
        capture_output=True,
        check=False,
    )
    if done.returncode:
        stderr = done.stderr.decode(errors="replace")
        raise DidNotFinish(f"exit code {done.returncode}\n\n{stderr[-MAX_STDERR:]}")
    return msgspec.json.decode(done.stdout, type=Report)


def main() -> None:
    """Answer the texts on standard input; write the report to standard output."""
    output = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # the model may print
    spec, texts = msgspec.json.decode(sys.stdin.buffer.read(), type=tuple[ModelSpec, list[str]])
    before = procfs.open_files()
    model = host.load(spec)
    opened = procfs.open_files() - before
    hazards = tuple(
        name
        for name, present in (("threads", procfs.has_threads()), ("open files", opened))
        if present
    )
    answers = []
    for text in texts:
        try:
            answers += predict(spec, model, [text])
        except BaseException as error:  # noqa: BLE001 - a model may raise anything
            answers.append(failed(error))
    with os.fdopen(output, "wb") as report:
        report.write(msgspec.json.encode(Report(hazards, tuple(answers))))
    sys.stdout.flush()
    os._exit(0)  # threads of the model must not keep the process
