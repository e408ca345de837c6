from __future__ import annotations

import pickle
import subprocess
import sys
import textwrap
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from tidemill.errors import ModelCrashed, ModelUnavailable, PredictionFailed
from tidemill.inference import traces
from tidemill.inference.engine import local_engine
from tidemill.inference.message import Message
from tidemill.inference.predictor import Predictor
from tidemill.inference.request import Request
from tidemill.inference.route import single_routes

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill.inference.model import ModelSpec

PROGRAM = """
from tidemill.inference.engine import local_engine
from tidemill.inference.message import Message
from tidemill.inference.model import ModelSpec
from tidemill.inference.predictor import Predictor
from tidemill.inference.route import single_routes

class Fussy:
    def predict_all(self, inputs):
        return [self.answer(text) for text in inputs]
    def answer(self, text):
        if text == "zero":
            return 1 // 0
        if text == "key":
            return {}["one"]
        return "1"

spec = ModelSpec(name="fussy", version="1", adapter="x:Y", sample="s", result="r")
predictor = Predictor(single_routes([spec]), local_engine(lambda _: Fussy(), clock=lambda: 0.0))
for _ in range(3):
    messages = [Message(text) for text in (b"zero", b"a", b"key")]
    print([type(outcome).__name__ for outcome in predictor.predict(messages)])
"""


@pytest.fixture(autouse=True)
def _nothing_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the failures of other tests."""
    monkeypatch.setattr(traces, "_logged", set())


def raised(message: str = "no", *, line: int = 1, kind: type[Exception] = ValueError) -> Any:  # noqa: ANN401
    """Return the error for an exception that a line of a model raised."""
    code = "\n" * (line - 1) + f"raise {kind.__name__}({message!r})"
    try:
        exec(compile(code, "their_model.py", "exec"))  # noqa: S102 - a file of that name
    except Exception as cause:  # noqa: BLE001 - whatever it is
        return PredictionFailed(cause)


class TestLogOnce:
    """The author of a model learns where it raised."""

    def test_frames(self, caplog: pytest.LogCaptureFixture) -> None:
        """The log has the model, its frames and the exception."""
        traces.log_once("m:1", raised("no such word"))
        assert "model m:1 failed" in caplog.text
        assert 'File "their_model.py", line 1' in caplog.text
        assert "ValueError: no such word" in caplog.text

    def test_kinds(self, caplog: pytest.LogCaptureFixture) -> None:
        """Each combination of model, type and line is logged once, whatever the message."""
        for _ in range(3):
            for model in ("m:1", "m:2"):
                for line in (1, 2):
                    for kind in (ValueError, OSError):
                        for message in ("a", "b"):
                            traces.log_once(model, raised(message, line=line, kind=kind))
        assert len(caplog.records) == 8

    def test_bound(self, caplog: pytest.LogCaptureFixture) -> None:
        """The number of logged kinds is limited."""
        for line in range(1, 300):
            traces.log_once("m:1", raised(line=line))
        assert len(caplog.records) == traces.MAX_KINDS

    def test_long(self, caplog: pytest.LogCaptureFixture) -> None:
        """A long exception is cut."""
        traces.log_once("m:1", raised("x" * 1_000_000))
        traces.log_once("m:1", raised("x\n" * 1_000_000, line=2))
        assert len(caplog.text) < 10_000

    def test_from_another_process(self, caplog: pytest.LogCaptureFixture) -> None:
        """An error from a model's own process is logged in the same way."""
        traces.log_once("m:1", pickle.loads(pickle.dumps(raised())))  # noqa: S301 - our own
        traces.log_once("m:1", raised("again"))
        assert len(caplog.records) == 1
        assert 'File "their_model.py", line 1' in caplog.text

    def test_nothing_raised(self, caplog: pytest.LogCaptureFixture) -> None:
        """A failure without an exception has no traceback."""
        traces.log_once("m:1", ModelCrashed(-11))
        assert not caplog.records

    def test_sample(
        self, make_spec: Callable[..., ModelSpec], caplog: pytest.LogCaptureFixture
    ) -> None:
        """The sample becomes no dead letter if it fails: the job ends, and tells why."""

        class Down:
            def predict_all(self, inputs: list[str]) -> list[str]:
                raise ConnectionError(inputs)

        spec = make_spec()
        (output,) = local_engine(lambda _: Down(), clock=lambda: 0.0).run(
            [Request(spec, spec.sample)]
        )
        assert isinstance(output.result, ModelUnavailable)
        assert not caplog.records


class TestInAWorker:
    """Workers configure no logging."""

    def test_standard_error(self) -> None:
        """Standard error has each kind once, for an input that failed alone."""
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(PROGRAM)],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.splitlines() == ["['Failure', 'Prediction', 'Failure']"] * 3
        assert done.stderr.count("ZeroDivisionError: integer") == 1
        assert done.stderr.count("KeyError: 'one'") == 1
        assert done.stderr.count("in answer") == done.stderr.count("Traceback") == 2


class TestNothingHeld:
    """A failure keeps no object of the model alive."""

    def test_frames(self, make_spec: Callable[..., ModelSpec]) -> None:
        """Objects that the model made for an input are freed before the batch is done."""

        class Large:
            pass

        made: list[weakref.ref[Large]] = []

        class Failing:
            def predict_all(self, inputs: list[str]) -> list[str]:
                if inputs == ["sample"]:
                    return ["1"]
                assert not any(large() for large in made)
                large = Large()
                made.append(weakref.ref(large))
                raise ValueError(inputs)

        predictor = Predictor(
            single_routes([make_spec()]), local_engine(lambda _: Failing(), clock=lambda: 0.0)
        )
        outcomes = predictor.predict([Message(b"a"), Message(b"b")])
        assert {outcome.error_class for outcome in outcomes} == {"PredictionFailed"}  # type: ignore[union-attr]
        assert len(made) == 3
