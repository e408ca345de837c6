from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tidemill.errors import MessageError, PredictionFailed, WrongOutputCount
from tidemill.inference.batch import bisect_failures
from tidemill.inference.request import Output

if TYPE_CHECKING:
    from collections.abc import Callable

    Fail = Callable[[list[str]], Any]


def raise_error(_: list[str]) -> list[str]:
    """Fail by raising."""
    raise ValueError("bad")


FAILURES: dict[str, Fail] = {
    "raises": raise_error,
    "too few": lambda inputs: ["0"] * (len(inputs) - 1),
    "too many": lambda inputs: ["0"] * (len(inputs) + 1),
    "none": lambda _: None,
    "generator": lambda inputs: ("0" for _ in inputs),
    "text": lambda _: "0",
}


class Picky:
    """Fail every call with a bad input, in a given way; count the calls."""

    def __init__(self, bad: set[str], fail: Fail = raise_error) -> None:
        self.bad, self.fail = bad, fail
        self.calls = 0

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Return each input as JSON."""
        self.calls += 1
        if self.bad & set(inputs):
            outputs: list[str] = self.fail(inputs)
            return outputs
        return [json.dumps(text) for text in inputs]


def zero() -> float:
    """Return a constant time."""
    return 0.0


class TestBisection:
    """A failing batch is halved until each bad input is alone."""

    @pytest.mark.parametrize("fail", FAILURES.values(), ids=FAILURES.keys())
    @given(size=st.integers(1, 64), data=st.data())
    def test_exactly_the_bad(self, fail: Fail, size: int, data: st.DataObject) -> None:
        """Exactly the bad inputs fail; the others have outputs, in order."""
        inputs = [str(number) for number in range(size)]
        bad = data.draw(st.sets(st.sampled_from(inputs)))
        outputs = bisect_failures(Picky(bad, fail), inputs, zero)
        assert len(outputs) == size
        for text, output in zip(inputs, outputs, strict=True):
            assert isinstance(output.result, MessageError) == (text in bad)
            if text not in bad:
                assert output.result == json.dumps(text)

    @given(
        st.integers(1, 512).flatmap(
            lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1), max_size=8))
        )
    )
    @example((256, {0}))
    @example((256, {255}))
    def test_few_calls(self, case: tuple[int, set[int]]) -> None:
        """Among n inputs, k bad ones cost at most 2 k log2(n) extra calls."""
        size, bad = case
        model = Picky({str(number) for number in bad})
        bisect_failures(model, [str(number) for number in range(size)], zero)
        assert model.calls <= 1 + 2 * len(bad) * math.ceil(math.log2(size))

    def test_one_call_when_all_is_well(self) -> None:
        """A batch without failures takes one call."""
        model = Picky(set())
        bisect_failures(model, ["a"] * 256, zero)
        assert model.calls == 1

    def test_repeated_inputs(self) -> None:
        """Equal inputs are tried one by one."""
        outputs = bisect_failures(Picky({"a"}), ["a", "b", "a", "b"], zero)
        assert [isinstance(a.result, MessageError) for a in outputs] == [True, False, True, False]

    def test_passing_failure(self) -> None:
        """A failure that does not repeat leaves no input without an output."""

        class Once:
            failed = False

            def predict_all(self, inputs: list[str]) -> list[str]:
                if not self.failed:
                    self.failed = True
                    raise TimeoutError
                return ["1"] * len(inputs)

        assert [output.result for output in bisect_failures(Once(), ["a", "b"], zero)] == ["1", "1"]


class TestAvailability:
    """The model's availability is checked when the whole batch fails."""

    def checks_of(self, model: Picky, *inputs: str) -> list[int]:
        """Return the number of calls made before each check."""
        checks: list[int] = []
        bisect_failures(model, list(inputs), zero, lambda: checks.append(model.calls))
        return checks

    def test_first_failure(self) -> None:
        """It is checked once, before the first half is tried, however many inputs fail."""
        assert self.checks_of(Picky({"a", "b", "d"}), "a", "b", "c", "d") == [1]

    @pytest.mark.parametrize("bad", ["", "a"])
    def test_one_input(self, bad: str) -> None:
        """It is not checked for a single input, which cannot be halved."""
        assert self.checks_of(Picky({bad}), "a") == []

    def test_no_failure(self) -> None:
        """It is not checked if nothing fails."""
        assert self.checks_of(Picky(set()), "a", "b") == []

    def test_no_use(self) -> None:
        """If the check raises, bisecting stops with its error."""

        def down() -> None:
            raise RuntimeError("down")

        model = Picky({"a"})
        with pytest.raises(RuntimeError, match="down"):
            bisect_failures(model, ["a", "b"], zero, down)
        assert model.calls == 1


class Panic(BaseException):
    """Stands for the exception of a Rust library that panics."""


def fail_by(kind: type[BaseException]) -> Fail:
    """Return a way to fail: raise an exception of a kind."""

    def fail(_: list[str]) -> list[str]:
        raise kind("at once")

    return fail


class TestNoException:
    """Exceptions outside of Exception fail an input, too."""

    @pytest.mark.parametrize("kind", [SystemExit, Panic])
    def test_failed_input(self, kind: type[BaseException]) -> None:
        """An exit or a panic is the failure of one input, and is named."""
        outputs = bisect_failures(Picky({"b"}, fail_by(kind)), ["a", "b", "c"], zero)
        assert [type(output.result) for output in outputs] == [str, PredictionFailed, str]
        assert str(outputs[1].result) == f"{kind.__name__}: at once"

    @pytest.mark.parametrize("kind", [KeyboardInterrupt, GeneratorExit])
    @pytest.mark.parametrize("inputs", [["a"], ["a", "b"]])
    def test_end(self, kind: type[BaseException], inputs: list[str]) -> None:
        """Ctrl-C and a closed generator are passed on at once."""
        model = Picky({"a"}, fail_by(kind))
        with pytest.raises(kind):
            bisect_failures(model, inputs, zero)
        assert model.calls == 1


class TestErrors:
    """The error of a bad input names the failure."""

    @pytest.mark.parametrize(
        ("way", "error", "message"),
        [
            ("raises", PredictionFailed, "ValueError: bad"),
            ("too few", WrongOutputCount, "the model returned 0 for 1 input(s)"),
            ("too many", WrongOutputCount, "the model returned 2 for 1 input(s)"),
            ("none", WrongOutputCount, "the model returned NoneType for 1 input(s)"),
            ("generator", WrongOutputCount, "the model returned generator for 1 input(s)"),
            ("text", WrongOutputCount, "the model returned str for 1 input(s)"),
        ],
    )
    def test_message(self, way: str, error: type, message: str) -> None:
        """Each way to fail has its class and its message."""
        (output,) = bisect_failures(Picky({"a"}, FAILURES[way]), ["a"], zero)
        assert type(output.result) is error
        assert str(output.result) == message

    def test_tuple(self) -> None:
        """A tuple of outputs is accepted."""
        (output,) = bisect_failures(Picky({"a"}, lambda _: ("1",)), ["a"], zero)
        assert output.result == "1"


class TestSpan:
    """A span is that of the call that returned the output."""

    def test_own_call(self) -> None:
        """After halving, a span covers only the output's own call."""
        ticks = iter(float(number) for number in range(100))
        outputs = bisect_failures(Picky({"a"}), ["a", "b"], lambda: next(ticks))
        # 0: the call for both starts and fails; 1 and 2: "a"; 3 and 4: "b".
        assert [output.span for output in outputs] == [(1.0, 2.0), (3.0, 4.0)]

    def test_shared_call(self) -> None:
        """Outputs of one call share its span."""
        ticks = iter([5.0, 7.5])
        outputs = bisect_failures(Picky(set()), ["a", "b"], lambda: next(ticks))
        assert outputs == [Output('"a"', (5.0, 7.5)), Output('"b"', (5.0, 7.5))]


class TestInputs:
    """A model may change its list of inputs."""

    def test_cleared(self) -> None:
        """A model that empties the list, then fails, still gets all inputs of both halves."""

        class Clearing(Picky):
            def predict_all(self, inputs: list[str]) -> list[str]:
                try:
                    return super().predict_all(inputs)
                finally:
                    inputs.clear()

        given_inputs = ["a", "b", "c"]
        outputs = bisect_failures(Clearing({"b"}), given_inputs, zero)
        assert [isinstance(a.result, MessageError) for a in outputs] == [False, True, False]
        assert given_inputs == ["a", "b", "c"]
