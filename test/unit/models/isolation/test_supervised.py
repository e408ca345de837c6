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
from tidemill.inference.message import Failure, Message, Prediction
from tidemill.inference.predictor import Predictor, isolate
from tidemill.models import catalogue
from tidemill.models.isolation import supervised

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tidemill.inference.model import Load, Model, ModelSpec
    from tidemill.inference.predictor import Answer

    Describe = Callable[..., ModelSpec]

LIMIT = 1.0
PATIENCE = 60.0
HELPER_S = 30.0  # that Forking's lives


@pytest.fixture
def limit() -> float:
    """How long an answer may take: a good one comes in time on a busy machine too."""
    return PATIENCE


@pytest.fixture
def load(limit: float) -> Iterator[Load]:
    """What loads a model under supervision."""
    with supervised.models(limit) as load:
        yield load


@pytest.fixture
def poison(load: Load, model: Describe) -> Model:
    """A model that some texts end."""
    return load(model("Poison"))


def said(answers: list[Answer]) -> list[str | tuple[type, str]]:
    """Return what each input came to."""
    return [
        (type(answer.said), str(answer.said))
        if isinstance(answer.said, MessageError)
        else json.loads(answer.said)
        for answer in answers
    ]


CRASHED = ModelCrashed, "the model's process ended by signal 11"
EXITED = ModelCrashed, "the model's process ended with exit code 3"
TIMED_OUT = ModelTimedOut, "no answer within 1 s"
OUT_OF_MEMORY = PredictionFailed, "MemoryError"
RAISED = PredictionFailed, "ValueError: asked to raise"


@pytest.fixture
def _little_memory() -> Iterator[None]:
    """Leave processes that are started now 4 GiB of addresses."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


class TestDeadly:
    """What ends the model, or gets no answer, is the failure of one input."""

    @pytest.mark.parametrize(
        ("text", "error", "limit"),
        [
            ("segfault", CRASHED, PATIENCE),
            ("exit", EXITED, PATIENCE),
            ("hang", TIMED_OUT, LIMIT),
            ("memory", OUT_OF_MEMORY, PATIENCE),
            ("raise", RAISED, PATIENCE),
        ],
    )
    @pytest.mark.usefixtures("_little_memory")
    def test_among_good(self, poison: Model, text: str, error: tuple[type, str]) -> None:
        """The others are answered, in their order, and so is what comes after it."""
        assert said(isolate(poison, ["a", text, "b", "c"], time.time)) == ["A", error, "B", "C"]
        assert poison.predict_all(["d"]) == ['"D"']

    def test_traceback(self, poison: Model) -> None:
        """What the model raised comes with its frames."""
        with pytest.raises(PredictionFailed, match=r"^ValueError: asked to raise$") as caught:
            poison.predict_all(["raise"])
        assert 'example_models.py", line' in str(caught.value.__cause__)

    def test_alone(self, poison: Model) -> None:
        """One that is alone in its batch is no other."""
        assert said(isolate(poison, ["segfault"], time.time)) == [CRASHED]

    def test_many(self, poison: Model) -> None:
        """Each has its own error, and many of the same text are no worse than one."""
        texts = ["exit", "a", "segfault", "exit", "b", "raise", "exit", "exit"]
        errors = [EXITED, "A", CRASHED, EXITED, "B", RAISED, EXITED, EXITED]
        assert said(isolate(poison, texts, time.time)) == errors

    @pytest.mark.parametrize("limit", [LIMIT])
    def test_slow_together(self, load: Load, model: Describe) -> None:
        """Inputs that only together take too long are all answered."""
        slow = load(model("Slow", options={"seconds": 0.3}))
        texts = ["a", "b", "c", "d"]
        assert said(isolate(slow, texts, time.time)) == texts

    def test_no_limit(self, model: Describe) -> None:
        """Without a limit an answer may take its time."""
        with supervised.models(None) as load:
            slow = load(model("Slow", options={"seconds": 0.5}))
            assert slow.predict_all(["a", "b"]) == ['"a"', '"b"']


class TestCost:
    """An input that ends the process does so twice: in its batch, and alone."""

    @pytest.fixture
    def ends(self, load: Load, model: Describe, tmp_path: Path) -> Callable[..., int]:
        """Return how many processes a batch takes."""

        def count(*texts: str) -> int:
            log = tmp_path / "starts"
            noted = load(model("NotedPoison", options={"log": str(log)}))
            isolate(noted, list(texts), time.time, lambda: None)
            return len(log.read_text().split())

        return count

    def test_good(self, ends: Callable[..., int]) -> None:
        """What is good takes one."""
        assert ends("a", "b") == 1

    def test_one(self, ends: Callable[..., int]) -> None:
        """One among 16 ends two; the inputs after it take the third."""
        assert ends(*"abcdefgh", "exit", *"ijklmno") == 3

    def test_same_text(self, ends: Callable[..., int]) -> None:
        """Of equal inputs one is tried."""
        assert ends("a", *["exit"] * 14, "b") == 3

    def test_known(self, ends: Callable[..., int]) -> None:
        """In later batches it is known: no process ends."""
        assert ends("a", "exit") == 2
        assert ends("b", "exit", "c") == 3

    def test_keeps_its_memory(self, load: Load, model: Describe, tmp_path: Path) -> None:
        """After a MemoryError the process is a new one: the model may still hold what it took."""
        log = tmp_path / "starts"
        noted = load(model("NotedPoison", options={"log": str(log)}))
        assert said(isolate(noted, ["no memory"], time.time)) == [OUT_OF_MEMORY]
        assert said(isolate(noted, ["a"], time.time)) == ["A"]
        assert len(log.read_text().split()) == 2


TEXTS = st.lists(st.sampled_from(["a", "b", "c", "raise", "exit", "print"]), max_size=8)


class Pure:
    """The same model, which raises where the other ends."""

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer every input."""
        for text in inputs:
            if text == "exit":
                raise ModelCrashed(3)
            if text == "raise":
                raise ValueError("asked to raise")
        return [json.dumps(text.upper()) for text in inputs]


class TestSame:
    """Supervision changes nothing but what an end means."""

    @settings(max_examples=30)
    @given(st.lists(TEXTS, min_size=1, max_size=3))
    def test_any_batches(self, model: Describe, batches: list[list[str]]) -> None:
        """Any batches come to what they come to with a model that raises in time."""
        with supervised.models(PATIENCE) as load:
            watched = load(model("Poison"))
            for texts in batches:
                expected = said(isolate(Pure(), texts, time.time))
                assert said(isolate(watched, texts, time.time)) == expected

    @pytest.mark.parametrize("text", ["too few", "too many", "no json", "a", "raise"])
    def test_flaky_model(self, load: Load, model: Describe, text: str) -> None:
        """What a model may do wrong is the same wrong."""
        spec = model("FlakyModel")
        plain = isolate(catalogue.load(spec), ["a", text], time.time)
        watched = isolate(load(spec), ["a", text], time.time)
        assert [type(a.said) for a in watched] == [type(a.said) for a in plain]
        assert [str(a.said) for a in watched] == [str(a.said) for a in plain]

    def test_count(self, load: Load, model: Describe) -> None:
        """A wrong number of outputs is found there."""
        with pytest.raises(WrongOutputCount, match="the model returned 0 for 1"):
            load(model("FlakyModel")).predict_all(["too few"])

    def test_large(self, poison: Model) -> None:
        """Inputs and outputs may be larger than a pipe."""
        texts = ["x" * 3_000_000, "y" * 3_000_000]
        assert poison.predict_all(texts) == [json.dumps(text.upper()) for text in texts]

    def test_unfit_output(self, load: Load, model: Describe) -> None:
        """What cannot come through the pipe is a failure of its input."""
        strange = load(model("Strange"))
        assert said(isolate(strange, ["a"], time.time))[0][0] is PredictionFailed
        assert strange.predict_all(["b"]) == ['"b"']


class TestModels:
    """Models that do not work are named as they are without supervision."""

    @pytest.mark.parametrize(
        ("adapter", "error", "text"),
        [
            ("NoSuchModel", ModelMisconfigured, "has no attribute 'NoSuchModel'"),
            ("EndsAtLoad", ModelLoadFailed, "the model's process ended with exit code 4"),
            ("FailsAtLoad", ModelLoadFailed, "OSError: no disk"),
        ],
    )
    def test_load(
        self, load: Load, model: Describe, adapter: str, error: type[Exception], text: str
    ) -> None:
        """A model that does not load, or ends its process as it loads."""
        with pytest.raises(error) as caught:
            load(model(adapter))
        assert text in str(caught.value)

    @pytest.mark.parametrize("limit", [LIMIT])
    def test_slow_load(self, load: Load, model: Describe) -> None:
        """Loading may take longer than an answer."""
        slow = load(model("SlowToLoad", options={"seconds": 1.5 * LIMIT}))
        assert slow.predict_all(["a"]) == ['"A"']

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
        self, load: Load, model: Describe, adapter: str, sample: str, text: str, texts: list[str]
    ) -> None:
        """One that fails on its sample too, however, is down, and nothing is a dead letter."""
        spec = model(adapter, sample=sample, match={}, payload=None)
        predictor = Predictor([spec], load, clock=time.time)
        with pytest.raises(ModelUnavailable, match=text):
            predictor.predict([Message(value.encode()) for value in texts])

    def test_two(self, load: Load, model: Describe) -> None:
        """Two models share the process: the end of one costs the other a load, and no answer."""
        specs = [model("Poison"), model("Upper", match={"lang": "fr"})]
        predictor = Predictor(specs, load, clock=time.time)
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
    """Return those that run."""
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
    """The process lives as long as it is needed, and no longer."""

    def test_with_the_context(self, model: Describe, tmp_path: Path) -> None:
        """It is another one, and ends with the context, also where it hangs."""
        with supervised.models(PATIENCE) as load:
            recording = load(model("RecordingModel", options={"log": str(tmp_path / "log")}))
            (answer,) = recording.predict_all(["a"])
            pid = json.loads(answer)["pid"]
            assert pid != os.getpid()
            assert processes({pid})
        wait_for_end(pid)

    @pytest.mark.parametrize("hangs", [False, True])
    def test_with_its_parent(self, tmp_path: Path, hangs: bool) -> None:
        """It ends when its parent is killed, also where it hangs."""
        log = tmp_path / "log"
        program = f"""
            import time
            from specs import example_spec
            from tidemill.models.isolation import supervised
            spec = example_spec("NotedPoison", options={{"log": {str(log)!r}}})
            with supervised.models(None) as load:
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
        self, load: Load, model: Describe, tmp_path: Path, texts: list[str]
    ) -> None:
        """One that was killed between two calls costs no answer."""
        recording = load(model("RecordingModel", options={"log": str(tmp_path / "log")}))
        (first,) = isolate(recording, ["a"], time.time)
        pid = json.loads(first.output)["pid"]
        os.kill(pid, signal.SIGKILL)
        wait_for_end(pid)
        answers = isolate(recording, texts, time.time)
        assert all(json.loads(answer.output)["pid"] != pid for answer in answers)

    def test_helper(self, load: Load, model: Describe) -> None:
        """An end is seen at once where a process that the model forked holds the pipe open."""
        forking = load(model("Forking"))
        started = time.monotonic()
        with pytest.raises(ModelCrashed, match="exit code 5"):
            forking.predict_all(["a"])
        assert time.monotonic() - started < HELPER_S
