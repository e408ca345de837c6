from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from specs import make_spec

from tidemill.errors import (
    InputTooLong,
    InvalidOutput,
    MessageError,
    ModelLoadFailed,
    ModelUnavailable,
    PredictionFailed,
)
from tidemill.inference.batch import is_failure, is_outage
from tidemill.inference.engine import local_engine
from tidemill.inference.model import Limits
from tidemill.inference.request import Output, Request

if TYPE_CHECKING:
    from tidemill.inference.model import Model, ModelSpec


class Service:
    """A model that fails on bad inputs; after some calls it is down, and fails on everything."""

    def __init__(self, name: str, calls_left: int | None = None) -> None:
        self.name = name
        self.calls_left = calls_left
        self.calls: list[list[str]] = []

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Return each input with the model's name."""
        self.calls.append(inputs)
        if self.calls_left is not None and len(self.calls) > self.calls_left:
            raise ConnectionError("away")
        if any("bad" in text for text in inputs):
            raise ValueError("bad")
        return [json.dumps([self.name, text]) for text in inputs]


def run(services: dict[str, Service], *requests: tuple[str, str], **fields: Any) -> list[Output]:  # noqa: ANN401 - ModelSpec's fields
    """Run inputs, each with its model's name."""
    specs = {name: make_spec(name=name, **fields) for name in services}
    engine = local_engine(lambda spec: services[spec.name], clock=lambda: 0.0)
    return engine.run([Request(specs[name], text) for name, text in requests])


class TestRun:
    """Outputs are aligned with the requests, whichever models they name."""

    def test_interleaved(self) -> None:
        """Each model is called once with its inputs in order."""
        services = {"a": Service("a"), "b": Service("b")}
        outputs = run(services, ("a", "1"), ("b", "2"), ("a", "3"))
        assert [output.result for output in outputs] == ['["a","1"]', '["b","2"]', '["a","3"]']
        assert services["a"].calls == [["1", "3"]]
        assert services["b"].calls == [["2"]]

    def test_nothing(self) -> None:
        """No requests give no outputs, and load no model."""
        engine = local_engine(lambda _: pytest.fail("loaded"), clock=lambda: 0.0)
        assert engine.run([]) == []

    def test_batches(self) -> None:
        """No call has more than `limits.batch` inputs."""
        service = Service("a")
        run({"a": service}, *(("a", str(n)) for n in range(7)), limits=Limits(batch=3))
        assert service.calls == [["0", "1", "2"], ["3", "4", "5"], ["6"]]

    def test_too_long(self) -> None:
        """The model never sees an input that is too long."""
        service = Service("a")
        long, short = run({"a": service}, ("a", "12345"), ("a", "1234"), limits=Limits(chars=4))
        assert isinstance(long.result, InputTooLong)
        assert short.result == '["a","1234"]'
        assert service.calls == [["1234"]]

    def test_white_space(self) -> None:
        """An output is minified JSON; one that is not JSON blames its input."""

        class Loose:
            def predict_all(self, inputs: list[str]) -> list[str]:
                return ['{ "a" : 1 }' if text != "no" else "no JSON" for text in inputs]

        spec = make_spec()
        engine = local_engine(lambda _: Loose(), clock=lambda: 0.0)
        fine, wrong = engine.run([Request(spec, "yes"), Request(spec, "no")])
        assert fine.result == '{"a":1}'
        assert isinstance(wrong.result, InvalidOutput)


class TestOutage:
    """One model's outage concerns its own requests only."""

    def test_others_answer(self) -> None:
        """Requests of a model that is down get the outage, the others their answers."""
        services = {"up": Service("up"), "down": Service("down", 0)}
        first, second, third = run(services, ("up", "1"), ("down", "2"), ("up", "3"))
        assert (first.result, third.result) == ('["up","1"]', '["up","3"]')
        assert isinstance(second.result, ModelUnavailable)
        assert is_outage(second)
        assert not is_failure(second)

    def test_not_called_again(self) -> None:
        """A model that is down is not called for its other batches."""
        service = Service("a", 1)
        outputs = run({"a": service}, *(("a", str(n)) for n in range(9)), limits=Limits(batch=3))
        assert [is_outage(output) for output in outputs] == [False] * 3 + [True] * 6
        assert len(service.calls) == 3  # a batch, a failing batch, the sample

    def test_not_loaded(self) -> None:
        """A model that does not load is down, with the error of its load."""

        def load(spec: ModelSpec) -> Model:
            if spec.name == "absent":
                raise ModelLoadFailed(spec.id, OSError("no file"))
            return Service(spec.name)

        engine = local_engine(load, clock=lambda: 0.0)
        requests = [Request(make_spec(name=name), "1") for name in ("absent", "here")]
        absent, here = engine.run(requests)
        assert isinstance(absent.result, ModelLoadFailed)
        assert here.result == '["here","1"]'

    def test_message_error_of_a_load(self) -> None:
        """A load never blames an input, whatever it raises."""

        def load(_: ModelSpec) -> Model:
            raise PredictionFailed(ValueError("while loading"))

        (output,) = local_engine(load, clock=lambda: 0.0).run([Request(make_spec(), "1")])
        assert is_outage(output)
        assert "while loading" in str(output.result)

    def test_during_a_batch(self) -> None:
        """Outputs from before the outage are kept; no input is blamed for it."""
        outputs = run({"a": Service("a", 4)}, *(("a", text) for text in ("1", "bad", "3", "4")))
        # The batch fails, the sample works, [1, bad] fails, [1] works; then the model is down.
        results = [output.result for output in outputs]
        assert results[0] == '["a","1"]'
        assert [type(result) for result in results[1:]] == [ModelUnavailable] * 3

    @given(
        st.lists(
            st.tuples(st.sampled_from("abc"), st.sampled_from(["1", "2", "bad"])), max_size=12
        ),
        st.fixed_dictionaries({name: st.none() | st.integers(0, 9) for name in "abc"}),
        st.integers(1, 5),
    )
    def test_any_mixture(
        self, requests: list[tuple[str, str]], lives: dict[str, int | None], size: int
    ) -> None:
        """Each request has its own answer, its own error, or its own model's outage."""
        services = {name: Service(name, left) for name, left in lives.items()}
        outputs = run(services, *requests, limits=Limits(batch=size))
        assert len(outputs) == len(requests)
        for (name, text), output in zip(requests, outputs, strict=True):
            if is_outage(output):
                left = lives[name]
                assert left is not None
                assert len(services[name].calls) > left
                assert f"model {name}:1 " in str(output.result)
            elif text == "bad":
                assert isinstance(output.result, PredictionFailed)
            else:
                assert output.result == json.dumps([name, text], separators=(",", ":"))
        for name, left in lives.items():
            if left is None:
                blamed = [
                    isinstance(output.result, MessageError)
                    for (model, _), output in zip(requests, outputs, strict=True)
                    if model == name
                ]
                assert blamed == [text == "bad" for model, text in requests if model == name]
