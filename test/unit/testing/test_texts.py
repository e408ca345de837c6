"""Hostile texts are texts that a message can bring to a model."""

from __future__ import annotations

import json
import time

import pytest
from specs import example_spec

from tidemill.inference.engine import local_engine
from tidemill.inference.message import Failure, Message, Prediction
from tidemill.inference.model import Limits
from tidemill.inference.predictor import Predictor
from tidemill.inference.route import single_routes
from tidemill.models import host
from tidemill.testing import texts

SPEC = example_spec("Echo", match={}, limits=Limits(chars=100_000))


def answer(payload: bytes) -> Prediction | Failure:
    """Return the outcome of a message whose field `text` is this JSON."""
    predictor = Predictor(single_routes([SPEC]), local_engine(host.load, clock=time.time))
    (outcome,) = predictor.predict([Message(b'{"text": %s}' % payload)])
    return outcome


class TestReachable:
    """The kit asks nothing of a model that a message could not."""

    @pytest.mark.parametrize("text", texts.HOSTILE, ids=ascii)
    def test_hostile(self, text: str) -> None:
        """A message carries the text to its model unchanged."""
        outcome = answer(json.dumps(text).encode())
        assert isinstance(outcome, Prediction)
        assert json.loads(outcome.value)["answer"] == text

    def test_lone_surrogate(self) -> None:
        """A lone surrogate does not get there."""
        outcome = answer(b'"\\ud800, alone"')
        assert isinstance(outcome, Failure)
        assert outcome.error_class == "InvalidJson"
