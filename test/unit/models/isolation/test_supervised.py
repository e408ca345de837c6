from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.errors import (
    MessageError,
    ModelCrashed,
    ModelLoadFailed,
    ModelMisconfigured,
    ModelTimedOut,
    ModelUnavailable,
    PredictionFailed,
    WrongOutputCount,
)
from tidemill.inference.batch import bisect_failures
from tidemill.inference.engine import local_engine
from tidemill.inference.message import Failure, Message, Prediction
from tidemill.inference.model import Limits
from tidemill.inference.predictor import Predictor
from tidemill.inference.request import Request
from tidemill.inference.route import single_routes
from tidemill.models import host
from tidemill.models.isolation import supervised

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tidemill.inference.model import Model, ModelLoader, ModelSpec
    from tidemill.inference.request import Output

    Describe = Callable[..., ModelSpec]

LIMIT = 1.0
PATIENCE = 60.0
HELPER_S = 30.0  # that Forking's lives


@pytest.fixture
def load() -> Iterator[ModelLoader]:
    """The loader of supervised models."""
    with supervised.loader() as load:
        yield load


@pytest.fixture
def poison(load: ModelLoader, model: Describe) -> Model:
    """A model that some texts crash; a good call keeps its limit on a busy machine, too."""
    return load(model("Poison", limits=Limits(seconds=PATIENCE)))


def results(outputs: list[Output]) -> list[str | tuple[type, str]]:
    """Return each output, or the type and message of each error."""
    return [
        (type(output.result), str(output.result))
        if isinstance(output.result, MessageError)
        else json.loads(str(output.result))
        for output in outputs
    ]


CRASHED = ModelCrashed, "the model's process ended by signal 11"
EXITED = ModelCrashed, "the model's process ended with exit code 3"
OUT_OF_MEMORY = PredictionFailed, "MemoryError"
RAISED = PredictionFailed, "ValueError: asked to raise"


def timed_out(limit: float = LIMIT) -> tuple[type, str]:
    """Return the error of an input that takes longer than a limit."""
    return ModelTimedOut, f"no answer within {limit:g} s"


def check_in_time(check: Callable[[float], None]) -> None:
    """Check something with a short time limit, and with a long one if the machine is too busy."""
    try:
        check(LIMIT)
    except (AssertionError, ModelTimedOut):
        check(30 * LIMIT)


@pytest.fixture
def _little_memory() -> Iterator[None]:
    """Limit new processes to 4 GiB of address space."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


class TestDeadly:
    """An input that crashes or hangs the model fails alone."""

    @pytest.mark.parametrize(
        ("text", "error"),
        [
            ("segfault", CRASHED),
            ("exit", EXITED),
            ("memory", OUT_OF_MEMORY),
            ("raise", RAISED),
        ],
    )
    @pytest.mark.usefixtures("_little_memory")
    def test_among_good(self, poison: Model, text: str, error: tuple[type, str]) -> None:
        """The other inputs have outputs, in order, and so have later ones."""
        assert results(bisect_failures(poison, ["a", text, "b", "c"], time.time)) == [
            "A",
            error,
            "B",
            "C",
        ]
        assert poison.predict_all(["d"]) == ['"D"']

    def test_hang_among_good(self, load: ModelLoader, model: Describe) -> None:
        """So they have if one input hangs."""

        def check(limit: float) -> None:
            hanging = load(model("Poison", limits=Limits(seconds=limit)))
            outputs = results(bisect_failures(hanging, ["a", "hang", "b", "c"], time.time))
            assert outputs == ["A", timed_out(limit), "B", "C"]
            assert hanging.predict_all(["d"]) == ['"D"']

        check_in_time(check)

    def test_traceback(self, poison: Model) -> None:
        """An exception of the model arrives with its traceback."""
        with pytest.raises(PredictionFailed, match=r"^ValueError: asked to raise$") as caught:
            poison.predict_all(["raise"])
        assert 'example_models.py", line' in str(caught.value.__cause__)

    def test_alone(self, poison: Model) -> None:
        """It also fails if it is alone in its batch."""
        assert results(bisect_failures(poison, ["segfault"], time.time)) == [CRASHED]

    def test_many(self, poison: Model) -> None:
        """Each bad input has its own error, also if a text occurs often."""
        texts = ["exit", "a", "segfault", "exit", "b", "raise", "exit", "exit"]
        errors = [EXITED, "A", CRASHED, EXITED, "B", RAISED, EXITED, EXITED]
        assert results(bisect_failures(poison, texts, time.time)) == errors

    def test_slow_together(self, load: ModelLoader, model: Describe) -> None:
        """Inputs that take too long only together all have outputs."""

        def check(limit: float) -> None:
            options = {"seconds": 0.3 * limit}
            slow = load(model("Slow", options=options, limits=Limits(seconds=limit)))
            texts = ["a", "b", "c", "d"]
            assert results(bisect_failures(slow, texts, time.time)) == texts

        check_in_time(check)

    def test_own_limits(self, load: ModelLoader, model: Describe) -> None:
        """Each entry has its own limit."""
        options = {"seconds": 1.5 * LIMIT}
        hasty = load(model("Slow", options=options, limits=Limits(seconds=LIMIT)))
        patient = load(
            model("Slow", name="patient", options=options, limits=Limits(seconds=PATIENCE))
        )
        assert results(bisect_failures(hasty, ["a"], time.time)) == [timed_out()]
        assert patient.predict_all(["a"]) == ['"a"']


class TestCost:
    """An input that ends the process does so at most twice: in its batch, and alone."""

    @pytest.fixture
    def ends(self, load: ModelLoader, model: Describe, tmp_path: Path) -> Callable[..., int]:
        """Return how many processes a batch needs."""

        def count(*texts: str) -> int:
            log = tmp_path / "starts"
            noted = load(model("NotedPoison", options={"log": str(log)}))
            bisect_failures(noted, list(texts), time.time, lambda: None)
            return len(log.read_text().split())

        return count

    def test_good(self, ends: Callable[..., int]) -> None:
        """Good inputs need one process."""
        assert ends("a", "b") == 1

    def test_one(self, ends: Callable[..., int]) -> None:
        """One bad input among 16 ends two processes; the inputs after it need a third."""
        assert ends(*"abcdefgh", "exit", *"ijklmno") == 3

    def test_same_text(self, ends: Callable[..., int]) -> None:
        """Of equal bad inputs only one is tried."""
        assert ends("a", *["exit"] * 14, "b") == 3

    def test_known(self, ends: Callable[..., int]) -> None:
        """A known bad input ends no process in later batches."""
        assert ends("a", "exit") == 2
        assert ends("b", "exit", "c") == 3

    def test_keeps_its_memory(self, load: ModelLoader, model: Describe, tmp_path: Path) -> None:
        """A MemoryError restarts the process, because the model may still hold the memory."""
        log = tmp_path / "starts"
        noted = load(model("NotedPoison", options={"log": str(log)}))
        assert results(bisect_failures(noted, ["no memory"], time.time)) == [OUT_OF_MEMORY]
        assert results(bisect_failures(noted, ["a"], time.time)) == ["A"]
        assert len(log.read_text().split()) == 2


TEXTS = st.lists(st.sampled_from(["a", "b", "c", "raise", "exit", "print"]), max_size=8)


class Pure:
    """The same model, but it raises instead of ending its process."""

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Return one output for each input."""
        for text in inputs:
            if text == "exit":
                raise ModelCrashed(3)
            if text == "raise":
                raise ValueError("asked to raise")
        return [json.dumps(text.upper()) for text in inputs]


class TestSame:
    """Supervision changes only the meaning of a crash."""

    @settings(max_examples=30)
    @given(st.lists(TEXTS, min_size=1, max_size=3))
    def test_any_batches(self, model: Describe, batches: list[list[str]]) -> None:
        """Any batches have the same outputs as with a model that raises instead."""
        with supervised.loader() as load:
            watched = load(model("Poison", limits=Limits(seconds=PATIENCE)))
            for texts in batches:
                expected = results(bisect_failures(Pure(), texts, time.time))
                assert results(bisect_failures(watched, texts, time.time)) == expected

    @pytest.mark.parametrize("text", ["too few", "too many", "no json", "a", "raise"])
    def test_flaky_model(self, load: ModelLoader, model: Describe, text: str) -> None:
        """Mistakes of a model give the same errors."""
        spec = model("FlakyModel")
        plain = bisect_failures(host.load(spec), ["a", text], time.time)
        watched = bisect_failures(load(spec), ["a", text], time.time)
        assert [type(o.result) for o in watched] == [type(o.result) for o in plain]
        assert [str(o.result) for o in watched] == [str(o.result) for o in plain]

    def test_count(self, load: ModelLoader, model: Describe) -> None:
        """A wrong number of outputs is noticed in the child process."""
        with pytest.raises(WrongOutputCount, match="the model returned 0 for 1"):
            load(model("FlakyModel")).predict_all(["too few"])

    def test_large(self, poison: Model) -> None:
        """Inputs and outputs may be larger than a pipe's buffer."""
        texts = ["x" * 3_000_000, "y" * 3_000_000]
        assert poison.predict_all(texts) == [json.dumps(text.upper()) for text in texts]

    def test_unfit_output(self, load: ModelLoader, model: Describe) -> None:
        """Outputs that are not text give the same errors, and do not harm other inputs."""
        texts = ["method", "a", "dict", "bytes", "int", "None", "class", "str", "surrogate"]
        requests = [Request(model("Strange"), text) for text in texts]
        plain = [output.result for output in local_engine(host.load, clock=time.time).run(requests)]
        watched = [output.result for output in local_engine(load, clock=time.time).run(requests)]
        assert list(map(repr, watched)) == list(map(repr, plain))
        assert "it is dict, not text; use json.dumps" in str(watched[2])
        assert watched[1] == watched[7] == '"a"'

    @pytest.mark.parametrize("text", ["no list", "iterator"])
    def test_no_list(self, load: ModelLoader, model: Describe, text: str) -> None:
        """An answer that is no list gives the same error."""
        (plain,) = bisect_failures(host.load(model("Strange")), [text], time.time)
        (watched,) = bisect_failures(load(model("Strange")), [text], time.time)
        assert repr(watched.result) == repr(plain.result)
        assert isinstance(watched.result, WrongOutputCount)


class TestModels:
    """Models that do not work give the same errors as without supervision."""

    @pytest.mark.parametrize(
        ("adapter", "error", "text"),
        [
            ("NoSuchModel", ModelMisconfigured, "has no attribute 'NoSuchModel'"),
            ("EndsAtLoad", ModelLoadFailed, "the model's process ended with exit code 4"),
            ("FailsAtLoad", ModelLoadFailed, "OSError: no disk"),
        ],
    )
    def test_load(
        self, load: ModelLoader, model: Describe, adapter: str, error: type[Exception], text: str
    ) -> None:
        """A model may fail to load, or end its process while it loads."""
        with pytest.raises(error) as caught:
            load(model(adapter))
        assert text in str(caught.value)

    def test_slow_load(self, load: ModelLoader, model: Describe) -> None:
        """Loading may take longer than the limit of a call."""

        def check(limit: float) -> None:
            options = {"seconds": 1.5 * limit}
            slow = load(model("SlowToLoad", options=options, limits=Limits(seconds=limit)))
            assert slow.predict_all(["a"]) == ['"A"']

        check_in_time(check)

    @pytest.mark.parametrize(
        ("adapter", "sample", "text", "limit"),
        [
            ("Broken", "a sample", "ConnectionError", PATIENCE),
            ("Poison", "exit", "the model's process ended with exit code 3", PATIENCE),
            ("Poison", "hang", "no answer within 1 s", LIMIT),
        ],
    )
    @pytest.mark.parametrize("texts", [["exit"], ["a", "exit", "b"]])
    def test_outage(
        self,
        load: ModelLoader,
        model: Describe,
        adapter: str,
        sample: str,
        text: str,
        limit: float,
        texts: list[str],
    ) -> None:
        """A model that also fails on its sample is down, and no message fails."""
        spec = model(adapter, sample=sample, match={}, payload=None, limits=Limits(seconds=limit))
        predictor = Predictor(single_routes([spec]), local_engine(load, clock=time.time))
        with pytest.raises(ModelUnavailable, match=text):
            predictor.predict([Message(value.encode()) for value in texts])

    def test_two(self, load: ModelLoader, model: Describe) -> None:
        """If one of two models ends the process, the other is loaded again and loses nothing."""
        specs = [model("Poison"), model("Upper", match={"lang": "fr"})]
        predictor = Predictor(single_routes(specs), local_engine(load, clock=time.time))
        messages = [
            Message(json.dumps({"text": text, "lang": lang, "uuid": "1"}).encode())
            for text in ("a", "exit")
            for lang in ("en", "fr")
        ]
        outcomes = predictor.predict(messages)
        assert [type(outcome) for outcome in outcomes] == [
            *(Prediction, Prediction, Failure, Prediction)
        ]
        assert [o.error_class for o in outcomes if isinstance(o, Failure)] == ["ModelCrashed"]


def processes(pids: set[int]) -> set[int]:
    """Return the processes that are running."""
    running = set()
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state != "Z":
            running.add(pid)
    return running


def wait_for_end(pid: int) -> None:
    """Wait until a process has ended."""
    deadline = time.monotonic() + PATIENCE
    while processes({pid}):
        assert time.monotonic() < deadline, f"{pid} still runs"
        time.sleep(0.02)


class TestLife:
    """The child process lives exactly as long as it is needed."""

    def test_with_the_context(self, model: Describe, tmp_path: Path) -> None:
        """It is another process, and ends with the context."""
        with supervised.loader() as load:
            recording = load(model("RecordingModel", options={"log": str(tmp_path / "log")}))
            (answer,) = recording.predict_all(["a"])
            pid = json.loads(answer)["pid"]
            assert pid != os.getpid()
            assert processes({pid})
        wait_for_end(pid)

    @pytest.mark.parametrize("hangs", [False, True])
    def test_with_its_parent(self, tmp_path: Path, hangs: bool) -> None:
        """It ends when its parent is killed, even if it hangs."""
        log = tmp_path / "log"
        program = f"""
            import time
            from specs import example_spec
            from tidemill.inference.model import Limits
            from tidemill.models.isolation import supervised
            options = {{"log": {str(log)!r}}}
            spec = example_spec("NotedPoison", options=options, limits=Limits(seconds=3600))
            with supervised.loader() as load:
                load(spec).predict_all(["hang" if {hangs} else "a"])
                time.sleep(3600)
        """
        parent = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(program)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        deadline = time.monotonic() + 2 * PATIENCE
        while not log.exists() or not log.read_text().endswith("\n"):
            assert parent.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        pid = int(log.read_text())
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        wait_for_end(pid)

    @pytest.mark.parametrize("texts", [["b"], ["b", "c"]])
    def test_ended_meanwhile(
        self, load: ModelLoader, model: Describe, tmp_path: Path, texts: list[str]
    ) -> None:
        """A process that was killed between two calls costs no output."""
        recording = load(model("RecordingModel", options={"log": str(tmp_path / "log")}))
        (first,) = bisect_failures(recording, ["a"], time.time)
        pid = json.loads(str(first.result))["pid"]
        os.kill(pid, signal.SIGKILL)
        wait_for_end(pid)
        outputs = bisect_failures(recording, texts, time.time)
        assert all(json.loads(str(output.result))["pid"] != pid for output in outputs)

    def test_helper(self, load: ModelLoader, model: Describe) -> None:
        """An end is seen at once where a process that the model forked holds the pipe open."""
        forking = load(model("Forking"))
        started = time.monotonic()
        with pytest.raises(ModelCrashed, match="exit code 5"):
            forking.predict_all(["a"])
        assert time.monotonic() - started < HELPER_S
