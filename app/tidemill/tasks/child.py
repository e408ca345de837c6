"""Run one task in a process of its own: the side of that process.

    python -m tidemill.tasks.child FD PARENT_PID

Standard input is the request: `{"job": …, "class": …, "options": …, "parameters": TEXT,
"max_result": BYTES}`. It writes lines of JSON to the pipe FD: `{"progress": 0.4, "phrase": …}` as
often as the job reports, and at last `{"result": …}` or `{"error": …, "hint": …}`.
"""

from __future__ import annotations

import json
import math
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import msgspec
from pydantic import TypeAdapter

from tidemill.errors import TaskResultTooLarge, trace
from tidemill.models.isolation.child import die_with_parent, unpack
from tidemill.tasks.job import Job
from tidemill.tasks.outcome import Failure, storable

if TYPE_CHECKING:
    from collections.abc import Callable


def main() -> None:
    """Run the process."""
    pipe, parent = map(int, sys.argv[1:])
    os.set_inheritable(pipe, False)  # noqa: FBT003 - it takes no keyword
    die_with_parent(parent)
    signal.signal(signal.SIGTERM, _end)
    request = json.load(sys.stdin)

    def send(message: dict[str, Any]) -> None:
        _write(pipe, msgspec.json.encode(message) + b"\n")

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

    def report(progress: float, phrase: str = "") -> None:
        """Tell how far the task is: a number from 0 to 1, and a phrase."""
        done = 0.0 if math.isnan(progress) else min(1.0, max(0.0, float(progress)))
        send({"progress": done, "phrase": storable(str(phrase))})

    result = job.make().run(parameters, report)
    try:
        encoded = TypeAdapter(Any).dump_json(result)
    except ValueError as error:
        raise TypeError(f"the result cannot be written as JSON: {error}") from None
    if len(encoded) > request["max_result"]:
        raise TaskResultTooLarge(len(encoded), request["max_result"])
    return encoded


def _write(pipe: int, line: bytes) -> None:
    rest = memoryview(line)
    while rest:
        rest = rest[os.write(pipe, rest) :]


def _end(*_: object) -> None:
    """Let `finally` blocks of the job run when the task is cancelled."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(143)


if __name__ == "__main__":
    main()
