from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from specs import example_spec

from tidemill.bootstrap.explain import explain_isolated
from tidemill.explain.explanation import record_of
from tidemill.explain.origin import Origin
from tidemill.inference.message import Message
from tidemill.inference.model import Limits
from tidemill.inference.route import single_routes

if TYPE_CHECKING:
    from tidemill.explain.explanation import Explanation


def explained(text: str, **fields: Any) -> Explanation:  # noqa: ANN401 - ModelSpec's fields
    """Explain a message whose model fails as its text asks for."""
    spec = example_spec("Poison", match={}, **fields)
    message = Message(json.dumps({"uuid": "1", "text": text}).encode())
    return explain_isolated(
        single_routes([spec]), message, Origin("here"), record_of, lambda *_, **__: None
    )


def model(explanation: Explanation) -> dict[str, Any]:
    """Return what there is to say about the model."""
    return next(step.facts for step in explanation.steps if step.name == "model")


class TestIsolated:
    """Whatever the model does to its process is said, and the sample still runs."""

    @pytest.mark.parametrize(
        ("text", "seconds", "error", "traceback"),
        [
            ("raise", 60, "PredictionFailed", "ValueError: asked to raise"),
            ("segfault", 60, "ModelCrashed", "Fatal Python error: Segmentation fault"),
            ("hang", 1, "ModelTimedOut", "Where the model was when its time was over:"),
        ],
    )
    def test_failure(self, text: str, seconds: float, error: str, traceback: str) -> None:
        """An exception, a crash and a hang lead to the line of the model where it happened."""
        facts = model(explained(text, limits=Limits(seconds=seconds)))
        assert facts["error"]["class"] == error
        assert traceback in facts["call"]["traceback"]
        assert "example_models.py" in facts["call"]["traceback"]
        assert "child.py" not in facts["call"]["traceback"]
        assert not facts["sample"]["failed"]

    def test_exit(self) -> None:
        """A process that exits leaves no traceback, but its exit code."""
        facts = model(explained("exit"))
        assert facts["error"]["message"] == "the model's process ended with exit code 3"
        assert facts["call"]["traceback"] is None

    def test_crashing_sample(self) -> None:
        """If the sample crashes too, the model is down, and the crash is shown."""
        explanation = explained("segfault", sample="segfault too")
        assert explanation.verdict == "no outcome"
        assert "Segmentation fault" in model(explanation)["sample"]["traceback"]

    def test_does_not_load(self) -> None:
        """An exception of the constructor has its traceback, too."""
        explanation = explained("a", options={"seconds": 0, "minutes": 1})
        assert "unexpected keyword argument 'minutes'" in model(explanation)["load"]["traceback"]
        assert explanation.verdict == "no outcome"
