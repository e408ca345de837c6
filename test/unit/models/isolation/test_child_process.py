from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
import zipfile
from typing import TYPE_CHECKING

import pytest
import specs

from dev import PYTHONPATH, ROOT
from tidemill.errors import ModelCrashed, ModelLoadFailed, ModelMisconfigured, ModelTimedOut
from tidemill.models.isolation import child, replies, supervised
from tidemill.models.isolation.child_process import ChildProcess

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tidemill.errors import TidemillError
    from tidemill.inference.model import ModelSpec

HELPER_S = 30.0
CYCLE: list[object] = []
CYCLE.append(CYCLE)
# A process that answers its first request with bytes, then ends or not.
FAKE = """#!{python}
import os, signal, socket, sys, time
sock = socket.socket(fileno=int(sys.argv[2]))
sock.recv(1 << 16)
if {helper} and not os.fork():
    time.sleep({seconds})
sock.sendall({reply!r})
if {ends}:
    os.kill(os.getpid(), signal.SIGTERM)
time.sleep(3600)
"""


class TestReply:
    """A reply that does not arrive whole means that the process crashed."""

    @pytest.mark.parametrize("helper", [False, True])
    @pytest.mark.parametrize("reply", [b"", b"\0\0", b"\0\0\0\x10", b'\0\0\0\x10{"texts":'])
    def test_torn(self, tmp_path: Path, reply: bytes, helper: bool) -> None:
        """The process is killed amid its reply; a helper may keep the socket open."""
        process = fake(tmp_path, reply=reply, helper=helper, ends=True)
        started = time.monotonic()
        with pytest.raises(ModelCrashed, match="ended by signal 15"):
            process.request(b"request", None)
        assert time.monotonic() - started < HELPER_S

    @pytest.mark.parametrize("reply", [b"\0\0\0\x05hello", b"\0\0\0\0", b"\0\0\0\x03{}\n"])
    def test_garbage(self, tmp_path: Path, reply: bytes) -> None:
        """A process that sends anything else than a frame is killed."""
        process = fake(tmp_path, reply=reply, helper=False, ends=False)
        with pytest.raises(ModelCrashed, match="ended by signal 9"):
            process.request(b"request", None)
        assert not process.is_alive

    def test_dead_before_a_large_request(self, model: Callable[..., ModelSpec]) -> None:
        """A process that has ended reads no request, however large."""
        process = ChildProcess()
        os.kill(process._process.pid, 9)  # noqa: SLF001 - as the kernel does
        process._process.wait()  # noqa: SLF001
        request = replies.predict_request(model("Upper"), ["x" * 10_000_000])
        with pytest.raises(ModelCrashed, match="signal 9"):
            process.request(request, None)


def fake(folder: Path, **fields: object) -> ChildProcess:
    """Start a program in place of Python."""
    program = folder / "python"
    program.write_text(FAKE.format(python=sys.executable, seconds=HELPER_S, **fields))
    program.chmod(0o755)
    return ChildProcess(str(program))


class TestInterpreter:
    """Another Python may run the model."""

    def test_without_packages(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """It sees its own packages and PYTHONPATH, and needs nothing of this project."""
        (tmp_path / "their_model.py").write_text(
            textwrap.dedent("""
            import json, sys

            class Model:
                def predict_all(self, inputs):
                    return [json.dumps([sys.argv[0], "tidemill" in sys.modules]) for _ in inputs]
            """)
        )
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        spec = specs.make_spec(adapter="their_model:Model")
        process = ChildProcess(sys._base_executable)  # type: ignore[attr-defined]  # noqa: SLF001
        try:
            process.request(replies.load_request(spec), None)
            _, (output,) = process.request(replies.predict_request(spec, ["a"]), None)
        finally:
            process.close()
        assert json.loads(output) == [child.__file__, False]

    def test_from_a_zip_file(self, tmp_path: Path) -> None:
        """The package may lie in a zip file, as Spark sends it to its executors."""
        package = tmp_path / "tidemill.zip"
        with zipfile.ZipFile(package, "w") as archive:
            for file in (ROOT / "app" / "tidemill").rglob("*.py"):
                archive.write(file, file.relative_to(ROOT / "app"))
        program = """
            import tidemill
            from specs import example_spec
            from tidemill.models.isolation import supervised
            assert "tidemill.zip" in tidemill.__file__
            with supervised.loader() as load:
                upper = load(example_spec("Upper"))
                print(upper.predict_all(["a"]))
                try:
                    upper.predict_all(["raise"])
                except Exception as error:
                    assert 'example_models.py", line' in str(error.__cause__)
        """
        path = [str(package), str(ROOT / "test" / "doubles"), PYTHONPATH]
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
            cwd=tmp_path,
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.stderr == ""
        assert done.stdout == "['\"A\"']\n"

    def test_own_modules(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A model's module may have the name of one beside child.py, and lie in the folder."""
        (tmp_path / "replies.py").write_text(
            "class Model:\n    def predict_all(self, inputs): return ['1' for _ in inputs]\n"
        )
        monkeypatch.chdir(tmp_path)
        with supervised.loader() as load:
            assert load(specs.make_spec(adapter="replies:Model")).predict_all(["a"]) == ["1"]


@pytest.mark.parametrize(
    ("option", "error", "reason"),
    [
        (1j, ModelMisconfigured, "TypeError: an option cannot be of type complex"),
        (CYCLE, ModelLoadFailed, "RecursionError: "),
    ],
)
def test_unfit_option(option: object, error: type[TidemillError], reason: str) -> None:
    """An option that YAML or JSON cannot express is an error of the entry."""
    spec = specs.make_spec(adapter="json:JSONDecoder", options={"a": option})
    with supervised.loader() as load, pytest.raises(error, match=reason):
        load(spec)


class TestStacks:
    """A file gets the stacks of a process that crashes or takes too long."""

    @pytest.mark.parametrize(
        ("text", "timeout", "error", "line"),
        [
            ("segfault", None, ModelCrashed, "Segmentation fault"),
            ("hang", 0.5, ModelTimedOut, "in predict_all"),
        ],
    )
    def test_written(
        self,
        tmp_path: Path,
        model: Callable[..., ModelSpec],
        text: str,
        timeout: float | None,
        error: type[TidemillError],
        line: str,
    ) -> None:
        """They name the line of the model that was running."""
        spec = model("Poison")

        def stacks_after(seconds: float | None) -> str:
            with (tmp_path / "stacks").open("w+b") as stacks:
                process = ChildProcess(stacks=stacks)
                process.request(replies.load_request(spec), None)
                with pytest.raises(error):
                    process.request(replies.predict_request(spec, [text]), seconds)
                process.close()
                stacks.seek(0)
                return stacks.read().decode()

        written = stacks_after(timeout)
        if timeout and line not in written:  # on a busy machine, the call may not have begun
            written = stacks_after(60 * timeout)
        assert line in written
        assert "example_models.py" in written
