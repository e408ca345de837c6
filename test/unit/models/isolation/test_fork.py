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
BEGIN = """
import json, os, signal, socket, sys, threading, time, traceback
from specs import example_spec
from tidemill.errors import PredictionFailed, WrongOutputCount
from tidemill.inference.predictor import isolate
from tidemill.models import catalogue
from tidemill.models.isolation import fork

def spec(adapter, **options):
    return example_spec(adapter, options=options)

def ask(model):
    (answer,) = model.predict_all(["a"])
    return json.loads(answer)

def say(what):
    print(json.dumps(what), flush=True)
"""


def start(program: str) -> subprocess.Popen[str]:
    """Run a program in a process of its own, as the tests' has threads."""
    return subprocess.Popen(
        [sys.executable, "-c", BEGIN + textwrap.dedent(program)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdout=subprocess.PIPE,
        text=True,
    )


def run(program: str, code: int = 0) -> list[Any]:
    """Return what a program says, each a line of JSON, once it has ended with that exit code."""
    process = start(program)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == code
    return [json.loads(line) for line in said.splitlines()]


class TestFork:
    """Models live in a fork of the process, which has no thread but its own."""

    def test_another_process(self, tmp_path: Path) -> None:
        """All entries' models are in the one fork, loaded once, whatever threads come here."""
        log = tmp_path / "log"
        ours, *theirs, loads = run(f"""
            recording = spec("RecordingModel", log={str(log)!r})
            say(os.getpid())
            say(ask(fork.load(recording)))
            threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
            say(ask(fork.load(recording)))
            fork.load(spec("Upper"))
            say(len(open({str(log)!r}).readlines()))
        """)
        assert loads == 1
        assert theirs[0] == theirs[1]
        assert theirs[0]["pid"] != ours
        assert theirs[0]["threads"] == 1

    def test_what_was_loaded(self, tmp_path: Path) -> None:
        """A model that this process had before is not loaded again."""
        ours, loaded_by, answered_by = run(f"""
            recording = spec("RecordingModel", log={str(tmp_path / "log")!r})
            catalogue.load(recording)
            say(os.getpid())
            fork.load(recording)
            say(int(open({str(tmp_path / "log")!r}).read()))
            say(ask(fork.load(recording))["pid"])
        """)
        assert ours == loaded_by != answered_by

    def test_threads_already(self, tmp_path: Path) -> None:
        """A process that has threads, which a fork would stop, has the models itself."""
        ours, theirs = run(f"""
            threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
            say(os.getpid())
            say(ask(fork.load(spec("RecordingModel", log={str(tmp_path / "log")!r})))["pid"])
        """)
        assert ours == theirs

    def test_a_fork_of_ours(self, tmp_path: Path) -> None:
        """Has a fork of its own: two that ask one would get one another's answers."""
        first, second = run(f"""
            recording = spec("RecordingModel", log={str(tmp_path / "log")!r})
            say(ask(fork.load(recording))["pid"])
            if os.fork():
                os.wait()
            else:
                say(ask(fork.load(recording))["pid"])
        """)
        assert first != second

    def test_connections(self) -> None:
        """Whoever this process talks to sees its end at once, though the fork had a copy."""
        assert run("""
            here, there = socket.socketpair()
            there.settimeout(60)
            fork.load(spec("Upper"))
            here.close()
            say(there.recv(1) == b"")
        """) == [True]


class TestAnswers:
    """They are what the model would give, or raise, here."""

    def test_alike(self) -> None:
        """Outputs, exceptions and wrong counts come to the same."""
        here, there = run("""
            texts = ["a", "raise", "too few", "no json", "too many", "b"]
            for load in (catalogue.load, fork.load):
                answers = isolate(load(spec("FlakyModel")), texts, time.time)
                say([a.said if isinstance(a.said, str) else repr(a.said) for a in answers])
        """)
        assert here == there
        assert here[0] == '"A"'

    @pytest.mark.parametrize("adapter", ["FailsAtLoad", "NoSuchModel"])
    def test_does_not_load(self, adapter: str) -> None:
        """The error is that of a load here, and other models are there all the same."""
        here, there, answer = run(f"""
            for load in (catalogue.load, fork.load):
                try:
                    load(spec({adapter!r}))
                except Exception as error:
                    say(repr(error))
            say(fork.load(spec("Upper")).predict_all(["a"]))
        """)
        assert here == there
        assert answer == ['"A"']


class TestEnd:
    """The two processes end together, so that an input is blamed as where there is one."""

    @pytest.mark.parametrize("text", ["segfault", "exit"])
    def test_of_the_fork(self, text: str) -> None:
        """What ends the model's process ends the one that asked."""
        run(f'fork.load(spec("Poison")).predict_all(["a", {text!r}])', os.EX_SOFTWARE)

    def test_between_two_calls(self, tmp_path: Path) -> None:
        """A fork that was killed is missed at the next call."""
        run(
            f"""
            model = fork.load(spec("RecordingModel", log={str(tmp_path / "log")!r}))
            os.kill(ask(model)["pid"], signal.SIGKILL)
            model.predict_all(["a"])
            """,
            os.EX_SOFTWARE,
        )

    def test_of_a_call(self) -> None:
        """An answer that nobody waited for is never taken for the next one's."""
        run(
            """
            def interrupt(*_):
                raise KeyboardInterrupt
            signal.signal(signal.SIGALRM, interrupt)
            model = fork.load(spec("Slow", seconds=60))
            signal.setitimer(signal.ITIMER_REAL, 0.3)
            try:
                model.predict_all(["first"])
            except KeyboardInterrupt:
                pass
            say(model.predict_all(["second"]))
            """,
            os.EX_SOFTWARE,
        )

    @pytest.mark.parametrize(
        ("program", "method"),
        [
            ('fork.load(spec("Upper")).predict_all(["raise"])', "predict_all"),
            ('fork.load(spec("FailsAtLoad"))', "__init__"),
        ],
    )
    def test_traceback(self, program: str, method: str) -> None:
        """An error of the model in the fork arrives with the traceback of its own frames."""
        (printed,) = run(f"""
            try:
                {program}
            except Exception:
                say(traceback.format_exc())
        """)
        assert re.search(rf'example_models.py", line \d+, in {method}\n', printed)
        assert "The above exception was the direct cause" in printed

    def test_beside_a_helper(self) -> None:
        """An end is seen at once where a process that the model forked holds the pipe open."""
        with start("""
            model = fork.load(spec("Forking"))
            say(0)
            model.predict_all(["a"])
        """) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "0\n"
            assert process.wait(HELPER_S - 5) == os.EX_SOFTWARE

    def test_of_its_parent(self) -> None:
        """A kill of this process ends the fork, though its model hangs."""
        with start('fork.load(spec("Poison")).predict_all(["print", "hang"])') as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "from the model\n"
            process.send_signal(signal.SIGKILL)
            assert process.communicate(timeout=120) == ("", None)  # which both would hold open
