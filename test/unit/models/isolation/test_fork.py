from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

HELPER_S = 30.0  # that Forking's lives
PRELUDE = """
import json, os, signal, socket, sys, threading, time, traceback
from specs import example_spec
from tidemill.errors import PredictionFailed, WrongOutputCount
from tidemill.inference.engine import bisect_failures
from tidemill.models import host
from tidemill.models.isolation import policy

load_in_fork = policy.loader(starts_threads=True)

def spec(adapter, **options):
    return example_spec(adapter, options=options)

def report(model):
    (answer,) = model.predict_all(["a"])
    return json.loads(answer)

def emit(value):
    print(json.dumps(value), flush=True)
"""


def start(program: str) -> subprocess.Popen[str]:
    """Run a program in a new process, because this one has threads."""
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(program)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdout=subprocess.PIPE,
        text=True,
    )


def run(program: str, code: int = 0) -> list[Any]:
    """Return the lines of JSON that a program prints; it must end with the given exit code."""
    process = start(program)
    printed, _ = process.communicate(timeout=120)
    assert process.returncode == code
    return [json.loads(line) for line in printed.splitlines()]


class TestFork:
    """Models run in a single-threaded fork of the process."""

    def test_another_process(self, tmp_path: Path) -> None:
        """One fork loads all models once, even if this process starts threads later."""
        log = tmp_path / "log"
        ours, *theirs, loads = run(f"""
            recording = spec("RecordingModel", log={str(log)!r})
            emit(os.getpid())
            emit(report(load_in_fork(recording)))
            threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
            emit(report(load_in_fork(recording)))
            load_in_fork(spec("Upper"))
            emit(len(open({str(log)!r}).readlines()))
        """)
        assert loads == 1
        assert theirs[0] == theirs[1]
        assert theirs[0]["pid"] != ours
        assert theirs[0]["threads"] == 1

    def test_what_was_loaded(self, tmp_path: Path) -> None:
        """A model that was loaded before the fork is not loaded again."""
        ours, loaded_by, answered_by = run(f"""
            recording = spec("RecordingModel", log={str(tmp_path / "log")!r})
            host.load(recording)
            emit(os.getpid())
            load_in_fork(recording)
            emit(int(open({str(tmp_path / "log")!r}).read()))
            emit(report(load_in_fork(recording))["pid"])
        """)
        assert ours == loaded_by != answered_by

    def test_threads_already(self, tmp_path: Path) -> None:
        """A process that already has threads is not forked, and loads the models itself."""
        ours, theirs = run(f"""
            threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
            emit(os.getpid())
            emit(report(load_in_fork(spec("RecordingModel", log={str(tmp_path / "log")!r})))["pid"])
        """)
        assert ours == theirs

    def test_a_fork_of_ours(self, tmp_path: Path) -> None:
        """A forked process makes a fork of its own; sharing one would mix up the replies."""
        first, second = run(f"""
            recording = spec("RecordingModel", log={str(tmp_path / "log")!r})
            emit(report(load_in_fork(recording))["pid"])
            if os.fork():
                os.wait()
            else:
                emit(report(load_in_fork(recording))["pid"])
        """)
        assert first != second

    def test_one_id(self, tmp_path: Path) -> None:
        """Two entries with the same id, as two jobs may have them, keep their own models."""
        *pids, first, second = run(f"""
            one = spec("RecordingModel", log={str(tmp_path / "one")!r})
            two = spec("RecordingModel", log={str(tmp_path / "two")!r})
            a, b = load_in_fork(one), load_in_fork(two)
            for model in (a, b, a):
                emit(report(model)["pid"])
            c = load_in_fork(example_spec("Upper", name=one.name))
            emit([c.predict_all(["a"]), json.loads(a.predict_all(["a"])[0])["pid"] > 0])
            emit([len(open(log).readlines()) for log in (one.options["log"], two.options["log"])])
        """)
        assert len(set(pids)) == 1
        assert first == [['"A"'], True]
        assert second == [1, 1]

    def test_connections(self) -> None:
        """The peer of a socket sees it close at once, although the fork inherited a copy."""
        assert run("""
            ours, theirs = socket.socketpair()
            theirs.settimeout(60)
            load_in_fork(spec("Upper"))
            ours.close()
            emit(theirs.recv(1) == b"")
        """) == [True]


class TestAnswers:
    """Outputs and errors are those of a model in this process."""

    def test_alike(self) -> None:
        """Outputs, exceptions and wrong counts are the same."""
        in_process, in_fork = run("""
            texts = ["a", "raise", "too few", "no json", "too many", "b"]
            for load in (host.load, load_in_fork):
                outputs = bisect_failures(load(spec("FlakyModel")), texts, time.time)
                emit([o.result if isinstance(o.result, str) else repr(o.result) for o in outputs])
        """)
        assert in_process == in_fork
        assert in_process[0] == '"A"'

    @pytest.mark.parametrize("adapter", ["FailsAtLoad", "NoSuchModel"])
    def test_does_not_load(self, adapter: str) -> None:
        """The error is the same as without a fork, and other models can still be loaded."""
        in_process, in_fork, output = run(f"""
            for load in (host.load, load_in_fork):
                try:
                    load(spec({adapter!r}))
                except Exception as error:
                    emit(repr(error))
            emit(load_in_fork(spec("Upper")).predict_all(["a"]))
        """)
        assert in_process == in_fork
        assert output == ['"A"']


class TestEnd:
    """The two processes end together, so that the input that ended one is found."""

    @pytest.mark.parametrize("text", ["segfault", "exit"])
    def test_of_the_fork(self, text: str) -> None:
        """If an input ends the fork, this process ends, too."""
        run(f'load_in_fork(spec("Poison")).predict_all(["a", {text!r}])', os.EX_SOFTWARE)

    def test_between_two_calls(self, tmp_path: Path) -> None:
        """A killed fork is noticed at the next call."""
        run(
            f"""
            model = load_in_fork(spec("RecordingModel", log={str(tmp_path / "log")!r}))
            os.kill(report(model)["pid"], signal.SIGKILL)
            model.predict_all(["a"])
            """,
            os.EX_SOFTWARE,
        )

    def test_of_a_call(self) -> None:
        """The reply to an interrupted call is never taken for the reply to the next one."""
        run(
            """
            def interrupt(*_):
                raise KeyboardInterrupt
            signal.signal(signal.SIGALRM, interrupt)
            model = load_in_fork(spec("Slow", seconds=60))
            signal.setitimer(signal.ITIMER_REAL, 0.3)
            try:
                model.predict_all(["first"])
            except KeyboardInterrupt:
                pass
            emit(model.predict_all(["second"]))
            """,
            os.EX_SOFTWARE,
        )

    @pytest.mark.parametrize(
        ("program", "method"),
        [
            ('load_in_fork(spec("Upper")).predict_all(["raise"])', "predict_all"),
            ('load_in_fork(spec("FailsAtLoad"))', "__init__"),
        ],
    )
    def test_traceback(self, program: str, method: str) -> None:
        """An error of the model arrives with the traceback from the fork."""
        (printed,) = run(f"""
            try:
                {program}
            except Exception:
                emit(traceback.format_exc())
        """)
        assert re.search(rf'example_models.py", line \d+, in {method}\n', printed)
        assert "The above exception was the direct cause" in printed

    def test_beside_a_helper(self) -> None:
        """The fork's end is noticed at once, even if a helper of the model holds the pipe open."""
        with start("""
            model = load_in_fork(spec("Forking"))
            emit(0)
            model.predict_all(["a"])
        """) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "0\n"
            assert process.wait(HELPER_S - 5) == os.EX_SOFTWARE

    def test_of_its_parent(self) -> None:
        """Killing this process ends the fork, even if its model hangs."""
        with start('load_in_fork(spec("Poison")).predict_all(["print", "hang"])') as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "from the model\n"
            process.send_signal(signal.SIGKILL)
            output, _ = process.communicate(timeout=120)  # the fork would hold the pipe open
            assert output == ""
