from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tidemill.errors import InvalidOutput, ModelUnavailable, WrongOutputCount
from tidemill.inference.batch import probe
from tidemill.inference.engine import local_engine
from tidemill.inference.message import Failure, Message, Prediction
from tidemill.inference.model import Limits
from tidemill.inference.predictor import Predictor
from tidemill.inference.route import single_routes

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill.inference.model import ModelSpec

    MakeSpec = Callable[..., ModelSpec]


class Picky:
    """Succeed on some inputs; raise, or return no JSON, for the others."""

    def __init__(self, answered: set[str], *, raises: bool = True) -> None:
        self.answered = answered
        self.raises = raises
        self.calls: list[list[str]] = []

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Return one output for each input."""
        self.calls.append(inputs)
        if self.raises and not set(inputs) <= self.answered:
            raise ConnectionError("away")
        return ['"ok"' if text in self.answered else "no JSON" for text in inputs]


def zero() -> float:
    """Return a constant time."""
    return 0.0


def predict(model: Picky, spec: ModelSpec, *texts: str) -> list[Prediction | Failure]:
    """Predict texts as whole values."""
    predictor = Predictor(single_routes([spec]), local_engine(lambda _: model, clock=zero))
    return predictor.predict([Message(text.encode()) for text in texts])


@pytest.fixture(params=[True, False], ids=["raises", "no JSON"])
def raises(request: pytest.FixtureRequest) -> bool:
    """The two ways to fail."""
    return bool(request.param)


class TestOutage:
    """A model that also fails on its own sample is down: no message fails."""

    def test_batch(self, make_spec: MakeSpec, raises: bool) -> None:
        """The predictor raises an error that names the model, caused by the model's exception."""
        with pytest.raises(ModelUnavailable, match="model m:1 fails on its own sample: ") as caught:
            predict(Picky(set(), raises=raises), make_spec(), "a", "b", "c")
        expected = ConnectionError if raises else InvalidOutput
        assert isinstance(caught.value.__cause__, expected)

    def test_one_message(self, make_spec: MakeSpec, raises: bool) -> None:
        """A batch of one raises, too."""
        with pytest.raises(ModelUnavailable):
            predict(Picky(set(), raises=raises), make_spec(), "a")

    def test_with_unreadable_messages(self, make_spec: MakeSpec) -> None:
        """Messages that never reach the model do not matter."""
        predictor = Predictor(
            single_routes([make_spec()]), local_engine(lambda _: Picky(set()), clock=zero)
        )
        with pytest.raises(ModelUnavailable):
            predictor.predict([Message(None), Message(b"a"), Message(b"\xff")])

    def test_one_of_two_models(self, make_spec: MakeSpec) -> None:
        """One model's outage is enough, even if the other model works."""
        models = {"a": Picky({"sample", "x"}), "b": Picky(set())}
        specs = [make_spec(name=name, match={"n": name}, payload="text") for name in models]
        predictor = Predictor(
            single_routes(specs), local_engine(lambda spec: models[spec.name], clock=zero)
        )
        messages = [
            Message(json.dumps({"n": name, "text": "x", "uuid": "u"}).encode()) for name in models
        ]
        with pytest.raises(ModelUnavailable, match="model b:1"):
            predictor.predict(messages)


class TestBadInput:
    """If the model succeeds on its sample, the inputs are to blame."""

    def test_all_rows_fail(self, make_spec: MakeSpec, raises: bool) -> None:
        """A batch with only bad inputs fails message by message."""
        outcomes = predict(Picky({"sample"}, raises=raises), make_spec(), "a", "b", "c")
        assert [type(outcome) for outcome in outcomes] == [Failure] * 3

    def test_some_rows_fail(self, make_spec: MakeSpec, raises: bool) -> None:
        """Among good inputs, only the bad ones fail."""
        model = Picky({"sample", "b"}, raises=raises)
        outcomes = predict(model, make_spec(), "a", "b", "c")
        assert [type(outcome) for outcome in outcomes] == [Failure, Prediction, Failure]

    def test_no_row_fails(self, make_spec: MakeSpec, raises: bool) -> None:
        """If no input fails, the sample is not tried."""
        model = Picky({"a", "b"}, raises=raises)
        predict(model, make_spec(), "a", "b")
        assert model.calls == [["a", "b"]]

    def test_first_batch_fails(self, make_spec: MakeSpec, raises: bool) -> None:
        """Each batch is judged alone: a bad batch among good ones fails message by message."""
        model = Picky({"sample", "c", "d"}, raises=raises)
        outcomes = predict(model, make_spec(limits=Limits(batch=2)), "a", "b", "c", "d")
        assert [type(outcome) for outcome in outcomes] == [Failure] * 2 + [Prediction] * 2

    def test_sample_tried_twice(self, make_spec: MakeSpec) -> None:
        """It is tried at the first failure, and again after the last."""
        model = Picky({"sample"})
        predict(model, make_spec(), "a", "b")
        assert model.calls == [["a", "b"], ["sample"], ["a"], ["b"], ["sample"]]

    def test_sample_tried_once(self, make_spec: MakeSpec) -> None:
        """For a single input, or for outputs that are not JSON, it is tried once."""
        alone, garbled = Picky({"sample"}), Picky({"sample"}, raises=False)
        predict(alone, make_spec(), "a")
        assert alone.calls == [["a"], ["sample"]]
        predict(garbled, make_spec(), "a", "b")
        assert garbled.calls == [["a", "b"], ["sample"]]


class TestProbe:
    """Probing shows whether a model works."""

    def test_works(self, make_spec: MakeSpec) -> None:
        """The sample's output is returned on one line."""

        class Spread:
            def predict_all(self, inputs: list[str]) -> list[str]:
                return ["[1,\n  2]" for _ in inputs]

        assert probe(make_spec(), Spread()) == "[1,2]"

    @pytest.mark.parametrize(
        ("outputs", "cause"),
        [([], WrongOutputCount), (["1", "2"], WrongOutputCount), (["}"], InvalidOutput)],
    )
    def test_does_not(self, make_spec: MakeSpec, outputs: list[str], cause: type) -> None:
        """A wrong output is as bad as an exception."""

        class Wrong:
            def predict_all(self, inputs: list[str]) -> list[str]:
                return outputs

        with pytest.raises(ModelUnavailable) as caught:
            probe(make_spec(), Wrong())
        assert type(caught.value.__cause__) is cause
