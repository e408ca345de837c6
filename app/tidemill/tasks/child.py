"""Run one task in a process of its own: the side of that process.

    python -m tidemill.tasks.child FD PARENT_PID

Standard input is the request: `{"job": …, "class": …, "options": …, "parameters": TEXT,
"run": ID, "attempt": NUMBER, "key": TEXT, "max_result": BYTES}`. It writes lines of JSON to the
pipe FD: `{"progress": 0.4, "phrase": …}`, perhaps with `"interim": …`, as often as the job reports,
and at last `{"result": …}` or `{"error": …, "hint": …}`.

SIGTERM asks it to end. SIGUSR1, just before, says that the task was cancelled or took too long.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

import msgspec

from tidemill.errors import trace
from tidemill.models.isolation.child import die_with_parent, unpack
from tidemill.tasks.job import Job
from tidemill.tasks.outcome import Failure, storable
from tidemill.tasks.report import Report

if TYPE_CHECKING:
    from collections.abc import Callable


def main() -> None:
    """Run the process."""
    pipe, parent = map(int, sys.argv[1:])
    os.set_inheritable(pipe, False)  # noqa: FBT003 - it takes no keyword
    die_with_parent(parent)
    signal.signal(signal.SIGTERM, _end)
    request = json.load(sys.stdin)
    writing = threading.Lock()  # a job may report from several threads

    def send(message: dict[str, Any]) -> None:
        line = msgspec.json.encode(message) + b"\n"
        with writing:
            _write(pipe, line)

    try:
        last: dict[str, Any] = {"result": msgspec.Raw(_run(request, send))}
    except Exception as error:  # noqa: BLE001 - whatever the job raises is what became of it
        print(trace(error), file=sys.stderr)  # noqa: T201 - the worker's log
        last = {name: storable(text) for name, text in Failure.of(error)._asdict().items()}
    sys.stdout.flush()
    sys.stderr.flush()
    send(last)


def _run(request: dict[str, Any], send: Callable[[dict[str, Any]], None]) -> bytes:
    """Return the result as JSON."""
    job = Job(request["job"], request["class"], unpack(request["options"]))
    parameters = job.parse(request["parameters"])
    report = Report(
        request["run"], request["attempt"], send, request["max_result"], key=request["key"]
    )
    signal.signal(signal.SIGUSR1, report.cancel)
    return report.encode(job.make().run(parameters, report))


def _write(pipe: int, line: bytes) -> None:
    rest = memoryview(line)
    while rest:
        rest = rest[os.write(pipe, rest) :]


def _end(*_: object) -> None:
    """Let `finally` blocks of the job run when the process is to end."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(143)


if __name__ == "__main__":
    main()
