from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.errors import ModelUnavailable
from tidemill.inference.engine import local_engine
from tidemill.inference.message import Failure, Message, Prediction
from tidemill.inference.model import Limits
from tidemill.inference.predictor import Predictor
from tidemill.inference.route import single_routes

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill.inference.model import ModelSpec

    MakeSpec = Callable[..., ModelSpec]


class Dying:
    """Fail on bad inputs and, after a number of calls, on everything."""

    def __init__(self, calls_left: float, bad: set[str] | None = None) -> None:
        self.calls_left = calls_left
        self.bad = bad or set()
        self.calls: list[int] = []

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Return each input as JSON."""
        self.calls.append(len(inputs))
        if len(self.calls) > self.calls_left:
            raise ConnectionError("away")
        if self.bad & set(inputs):
            raise ValueError("bad")
        return [json.dumps(text) for text in inputs]


def predict(model: Dying, spec: ModelSpec, size: int) -> list[Prediction | Failure]:
    """Predict the numbers below `size` as whole values."""
    predictor = Predictor(single_routes([spec]), local_engine(lambda _: model, clock=lambda: 0.0))
    return predictor.predict([Message(str(number).encode()) for number in range(size)])


class TestCost:
    """An outage is noticed after two calls, whatever the batch size."""

    @pytest.mark.parametrize("size", [1, 2, 3, 256])
    def test_total_outage(self, make_spec: MakeSpec, size: int) -> None:
        """Only the batch and the sample are tried; nothing is halved."""
        model = Dying(0)
        with pytest.raises(ModelUnavailable):
            predict(model, make_spec(), size)
        assert model.calls == [size, 1]

    def test_second_batch(self, make_spec: MakeSpec) -> None:
        """An outage between two batches costs no more."""
        model = Dying(1)
        with pytest.raises(ModelUnavailable):
            predict(model, make_spec(limits=Limits(batch=100)), 200)
        assert model.calls == [100, 100, 1]

    def test_bad_input(self, make_spec: MakeSpec) -> None:
        """One bad input among 256 costs the bisection and two samples."""
        model = Dying(1e9, {"77"})
        outcomes = predict(model, make_spec(), 256)
        assert [n for n, o in enumerate(outcomes) if isinstance(o, Failure)] == [77]
        assert len(model.calls) == 1 + 2 * 8 + 2


class TestMidway:
    """An outage that begins during a batch produces no dead letters, either."""

    @pytest.mark.parametrize("calls", range(1, 19))
    def test_every_moment(self, make_spec: MakeSpec, calls: int) -> None:
        """It may begin after any call of a bisection."""
        whole = Dying(1e9, {"77"})
        predict(whole, make_spec(), 256)
        assert calls < len(whole.calls)
        with pytest.raises(ModelUnavailable):
            predict(Dying(calls, {"77"}), make_spec(), 256)

    @given(
        st.integers(1, 24).flatmap(
            lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1)), st.integers(0, 60))
        )
    )
    def test_only_the_bad(self, make_spec: MakeSpec, case: tuple[int, set[int], int]) -> None:
        """Either the predictor raises, or exactly the bad inputs fail."""
        size, bad, calls = case
        model = Dying(calls, {str(number) for number in bad})
        try:
            outcomes = predict(model, make_spec(limits=Limits(batch=7)), size)
        except ModelUnavailable:
            assert len(model.calls) > calls
        else:
            assert {n for n, o in enumerate(outcomes) if isinstance(o, Failure)} == bad
