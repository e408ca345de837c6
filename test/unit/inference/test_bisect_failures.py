from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tidemill.errors import MessageError, PredictionFailed, WrongOutputCount
from tidemill.inference.predictor import ModelOutput, bisect_failures

if TYPE_CHECKING:
    from collections.abc import Callable

    Fail = Callable[[list[str]], Any]


def raise_error(_: list[str]) -> list[str]:
    """Fail by an exception."""
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
    """Fail a call that holds a bad input, in one way; count the calls."""

    def __init__(self, bad: set[str], fail: Fail = raise_error) -> None:
        self.bad, self.fail = bad, fail
        self.calls = 0

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer with the input itself."""
        self.calls += 1
        if self.bad & set(inputs):
            outputs: list[str] = self.fail(inputs)
            return outputs
        return [json.dumps(text) for text in inputs]


def zero() -> float:
    """Stand still."""
    return 0.0


class TestIsolation:
    """A batch that fails is halved until the inputs that fail alone are known."""

    @pytest.mark.parametrize("fail", FAILURES.values(), ids=FAILURES.keys())
    @given(size=st.integers(1, 64), data=st.data())
    def test_exactly_the_bad(self, fail: Fail, size: int, data: st.DataObject) -> None:
        """Exactly the inputs that fail alone fail; the others are answered, in order."""
        inputs = [str(number) for number in range(size)]
        bad = data.draw(st.sets(st.sampled_from(inputs)))
        answers = bisect_failures(Picky(bad, fail), inputs, zero)
        assert len(answers) == size
        for text, answer in zip(inputs, answers, strict=True):
            assert isinstance(answer.result, MessageError) == (text in bad)
            if text not in bad:
                assert answer.result == json.dumps(text)

    @given(
        st.integers(1, 512).flatmap(
            lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1), max_size=8))
        )
    )
    @example((256, {0}))
    @example((256, {255}))
    def test_few_calls(self, case: tuple[int, set[int]]) -> None:
        """Among n inputs k bad ones cost at most 2 k log2(n) calls more than the one."""
        size, bad = case
        model = Picky({str(number) for number in bad})
        bisect_failures(model, [str(number) for number in range(size)], zero)
        assert model.calls <= 1 + 2 * len(bad) * math.ceil(math.log2(size))

    def test_one_call_when_all_is_well(self) -> None:
        """Without a failure there is one call."""
        model = Picky(set())
        bisect_failures(model, ["a"] * 256, zero)
        assert model.calls == 1

    def test_repeated_inputs(self) -> None:
        """Equal inputs are judged one by one."""
        answers = bisect_failures(Picky({"a"}), ["a", "b", "a", "b"], zero)
        assert [isinstance(a.result, MessageError) for a in answers] == [True, False, True, False]

    def test_passing_failure(self) -> None:
        """A failure that does not come again costs nobody an answer."""

        class Once:
            failed = False

            def predict_all(self, inputs: list[str]) -> list[str]:
                if not self.failed:
                    self.failed = True
                    raise TimeoutError
                return ["1"] * len(inputs)

        assert [answer.result for answer in bisect_failures(Once(), ["a", "b"], zero)] == ["1", "1"]


class TestIsUp:
    """At the first failure it is asked whether there is use in going on."""

    def ask(self, model: Picky, *inputs: str) -> list[int]:
        """Isolate; return how many calls were made each time that it was asked."""
        asked: list[int] = []
        bisect_failures(model, list(inputs), zero, lambda: asked.append(model.calls))
        return asked

    def test_first_failure(self) -> None:
        """Once, before a half is tried, however many inputs fail."""
        assert self.ask(Picky({"a", "b", "d"}), "a", "b", "c", "d") == [1]

    @pytest.mark.parametrize("bad", ["", "a"])
    def test_one_input(self, bad: str) -> None:
        """Not for one input, whether it fails or not: there is nothing to halve."""
        assert self.ask(Picky({bad}), "a") == []

    def test_no_failure(self) -> None:
        """Not where all is well."""
        assert self.ask(Picky(set()), "a", "b") == []

    def test_no_use(self) -> None:
        """What it raises comes out, and no half is tried."""

        def down() -> None:
            raise RuntimeError("down")

        model = Picky({"a"})
        with pytest.raises(RuntimeError, match="down"):
            bisect_failures(model, ["a", "b"], zero, down)
        assert model.calls == 1


class Panic(BaseException):
    """What a library of Rust raises where it panics."""


def fail_by(kind: type[BaseException]) -> Fail:
    """Return a way to fail."""

    def fail(_: list[str]) -> list[str]:
        raise kind("at once")

    return fail


class TestNoException:
    """What is no Exception fails an input all the same."""

    @pytest.mark.parametrize("kind", [SystemExit, Panic])
    def test_failed_input(self, kind: type[BaseException]) -> None:
        """An exit and a panic are the failure of one input, and say their name."""
        answers = bisect_failures(Picky({"b"}, fail_by(kind)), ["a", "b", "c"], zero)
        assert [type(answer.result) for answer in answers] == [str, PredictionFailed, str]
        assert str(answers[1].result) == f"{kind.__name__}: at once"

    @pytest.mark.parametrize("kind", [KeyboardInterrupt, GeneratorExit])
    @pytest.mark.parametrize("inputs", [["a"], ["a", "b"]])
    def test_end(self, kind: type[BaseException], inputs: list[str]) -> None:
        """What ends the program, or the worker's generator, goes through at once."""
        model = Picky({"a"}, fail_by(kind))
        with pytest.raises(kind):
            bisect_failures(model, inputs, zero)
        assert model.calls == 1


class TestErrors:
    """What failed alone says how."""

    @pytest.mark.parametrize(
        ("way", "error", "said"),
        [
            ("raises", PredictionFailed, "ValueError: bad"),
            ("too few", WrongOutputCount, "the model returned 0 for 1 input(s)"),
            ("too many", WrongOutputCount, "the model returned 2 for 1 input(s)"),
            ("none", WrongOutputCount, "the model returned NoneType for 1 input(s)"),
            ("generator", WrongOutputCount, "the model returned generator for 1 input(s)"),
            ("text", WrongOutputCount, "the model returned str for 1 input(s)"),
        ],
    )
    def test_said(self, way: str, error: type, said: str) -> None:
        """The class and the message name the failure."""
        (answer,) = bisect_failures(Picky({"a"}, FAILURES[way]), ["a"], zero)
        assert type(answer.result) is error
        assert str(answer.result) == said

    def test_tuple(self) -> None:
        """A tuple of outputs does."""
        (answer,) = bisect_failures(Picky({"a"}, lambda _: ("1",)), ["a"], zero)
        assert answer.result == "1"


class TestSpan:
    """Times are those of the call that gave the answer."""

    def test_own_call(self) -> None:
        """After halving, an answer's span is that of its own call only."""
        ticks = iter(float(number) for number in range(100))
        answers = bisect_failures(Picky({"a"}), ["a", "b"], lambda: next(ticks))
        # 0: the call for both starts and fails; 1 and 2: "a"; 3 and 4: "b".
        assert [answer.span for answer in answers] == [(1.0, 2.0), (3.0, 4.0)]

    def test_shared_call(self) -> None:
        """Answers of one call share it."""
        ticks = iter([5.0, 7.5])
        answers = bisect_failures(Picky(set()), ["a", "b"], lambda: next(ticks))
        assert answers == [ModelOutput('"a"', (5.0, 7.5)), ModelOutput('"b"', (5.0, 7.5))]


class TestInputs:
    """A model may do to its list what it likes."""

    def test_cleared(self) -> None:
        """Emptying it, then failing, changes nothing for the halves."""

        class Clearing(Picky):
            def predict_all(self, inputs: list[str]) -> list[str]:
                try:
                    return super().predict_all(inputs)
                finally:
                    inputs.clear()

        given_inputs = ["a", "b", "c"]
        answers = bisect_failures(Clearing({"b"}), given_inputs, zero)
        assert [isinstance(a.result, MessageError) for a in answers] == [False, True, False]
        assert given_inputs == ["a", "b", "c"]
