from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from any_messages import MESSAGE, Moody
from hypothesis import example, given, settings
from hypothesis import strategies as st
from specs import make_spec
from tried_models import Strict

from tidemill.errors import ModelLoadFailed, ModelUnavailable, SampleMissing, TidemillError
from tidemill.explain.explanation import Explanation, Step, explain
from tidemill.explain.origin import Origin
from tidemill.inference.engine import local_engine
from tidemill.inference.headers import FORCE_VARIANT, encode_headers
from tidemill.inference.message import Failure, Message, OutcomeRecord, Prediction
from tidemill.inference.model import Limits, ModelSpec
from tidemill.inference.predictor import Predictor
from tidemill.inference.route import Route, Variant, single_routes
from tidemill.terminal.explain import document

HERE = Origin("here")
SHORT = Limits(chars=20)
EN = make_spec(name="en", match={"lang": "en"}, payload="text", limits=SHORT, echo="all")
FR = make_spec(name="fr", match={"lang": "fr", "more": 1}, echo=("more",), is_text=False)
ALL = make_spec(name="all", id_field="more", echo=("text", "lang"))
DOWN = make_spec(name="down", match={"lang": "xx"}, payload="text", sample="!")
MUTE = make_spec(name="mute", match={"uuid": "1"}, sample=None)
SCHEMA = {"type": "object", "required": ["text"], "properties": {"text": {"maxLength": 5}}}
STRICT = make_spec(name="strict", payload=("text", "uuid"), is_text=False, schema=SCHEMA)


def split(spec: ModelSpec, split_by: str | None) -> Route:
    """Return a route with two models."""
    other = make_spec(name=spec.name, version="2", match=spec.match, payload=spec.payload)
    variants = Variant("a", spec, 70.0), Variant("b", other, 30.0)
    return Route(spec.name, spec.match, variants, split_by)


ROUTES = st.sampled_from(
    [
        single_routes([EN, FR]),
        single_routes([EN, FR, ALL]),
        single_routes([ALL]),
        single_routes([DOWN, MUTE, STRICT]),
        (split(EN, None), *single_routes([FR])),
        (split(ALL, "uuid"),),
    ]
)
FORCED = st.builds(
    lambda message, name: Message(message.value, message.key, ((FORCE_VARIANT, name),)),
    MESSAGE,
    st.sampled_from([b"a", b"b", b"c", None]),
)


def predicted(routes: tuple[Route, ...], message: Message) -> Any:  # noqa: ANN401 - or its error
    """Return what the stream's predictor makes of a message."""
    engine = local_engine(lambda _: Moody(), clock=lambda: 0.0)
    try:
        (outcome,) = Predictor(routes, engine).predict([message])
    except TidemillError as error:
        return error
    return outcome


def explained(routes: tuple[Route, ...], message: Message, model: Any = None) -> Explanation:  # noqa: ANN401
    """Explain a message in this process."""
    return explain(routes, message, HERE, lambda _: model or Moody(), clock=lambda: 0.0)


def step(explanation: Explanation, name: str) -> Step:
    """Return a step by its name."""
    return next(each for each in explanation.steps if each.name == name)


def text(**fields: object) -> Message:
    """Return a message with these fields."""
    return Message(json.dumps(fields).encode())


class TestSameOutcome:
    """What is explained is what the stream does."""

    @settings(max_examples=300)
    @given(ROUTES, MESSAGE | FORCED)
    @example(single_routes([DOWN]), text(lang="xx", text="!"))
    @example(single_routes([STRICT]), text(text="too long"))
    def test_record(self, routes: tuple[Route, ...], message: Message) -> None:
        """Any message has the predictor's outcome to the byte, and its failure has one step."""
        expected, explanation = predicted(routes, message), explained(routes, message)
        result = explanation.result
        failed = [each.name for each in explanation.steps if each.status == "failed"]
        if isinstance(expected, TidemillError):
            assert (type(result), str(result)) == (type(expected), str(expected))
            assert failed == ["model"]
            assert step(explanation, "encode").status == "not reached"
        else:
            assert isinstance(result, OutcomeRecord)
            assert result.headers == encode_headers(message, expected)
            assert result.key == message.key
            assert result.outcome.model == expected.model
            assert result.outcome.assignment == expected.assignment
            if isinstance(expected, Prediction):
                assert isinstance(result.outcome, Prediction)
                assert result.value == result.outcome.value == expected.value
                assert not failed
            else:
                assert isinstance(result.outcome, Failure)
                assert str(result.outcome.error) == str(expected.error)
                assert result.value == message.value
                assert len(failed) == 1
        shown = json.loads(document(explanation))
        assert list(shown["steps"]) == [each.name for each in explanation.steps]
        assert shown["failed_step"] == (failed[0] if failed else None)

    @given(ROUTES, MESSAGE | FORCED)
    def test_not_reached(self, routes: tuple[Route, ...], message: Message) -> None:
        """No step between the one that failed and the dead letter has anything to say."""
        statuses = [each.status for each in explained(routes, message).steps]
        if "failed" in statuses:
            after = statuses[statuses.index("failed") + 1 :]
            assert set(after[:-1]) <= {"not reached"}
            assert statuses[: statuses.index("failed")] == ["ok"] * statuses.index("failed")


class TestSteps:
    """Each step has what locates a bug there."""

    @pytest.mark.parametrize(
        ("message", "failed"),
        [
            (Message(None), "decode"),
            (Message(b"\xff"), "decode"),
            (Message(b"no JSON"), "decode"),
            (text(lang="de"), "route"),
            (text(lang="en"), "input"),
            (text(lang="en", text="a" * 21), "input"),
            (text(lang="en", text="ab", uuid=1), None),
            (text(lang="en", text="!"), "model"),
        ],
    )
    def test_failed(self, message: Message, failed: str | None) -> None:
        """The step that fails is marked."""
        explanation = explained(single_routes([EN, FR]), message)
        assert json.loads(document(explanation))["failed_step"] == failed

    def test_variant(self) -> None:
        """A variant has its share, and the key that chose it, or what forced it."""
        (route,) = routes = (split(ALL, "uuid"),)
        facts = step(explained(routes, text(uuid="u-1", text="a")), "variant").facts
        assert facts["chosen"] == route.choose("u-1").name
        assert (facts["by"], facts["key"], facts["forced"]) == ("the field uuid", "u-1", False)
        assert [each["share"] for each in facts["variants"]] == [0.7, 0.3]
        forced = Message(b"{}", headers=((FORCE_VARIANT, b"b"),))
        facts = step(explained(routes, forced), "variant").facts
        assert (facts["chosen"], facts["by"]) == ("b", f"the header {FORCE_VARIANT}")
        facts = step(explained(routes, text(**{FORCE_VARIANT: "a"})), "variant").facts
        assert (facts["chosen"], facts["by"]) == ("a", f"the field {FORCE_VARIANT}")

    def test_unknown_variant(self) -> None:
        """A variant that does not exist fails the step, which still names those that do."""
        facts = step(explained((split(ALL, None),), text(**{FORCE_VARIANT: "c"})), "variant").facts
        assert facts["error"]["class"] == "UnknownVariant"
        assert [each["name"] for each in facts["variants"]] == ["a", "b"]

    def test_less_specific(self) -> None:
        """Entries that also match are named, since the most specific one wins."""
        facts = step(explained(single_routes([EN, FR, ALL]), text(lang="en")), "route").facts
        assert (facts["entry"], facts["less_specific"]) == ("en:1", ["all:1"])

    def test_traceback(self) -> None:
        """An exception of the model has its traceback; the sample has run, too."""
        facts = step(explained(single_routes([EN]), text(lang="en", text="!")), "model").facts
        assert facts["call"]["traceback"].endswith("KeyError: ['!']")
        assert 'any_messages.py", line' in facts["call"]["traceback"]
        assert facts["sample"] == facts["sample"] | {"failed": False, "traceback": None}

    def test_violations(self) -> None:
        """Each violation of the schema has a line with its path, and the model is not called."""
        spec = make_spec(payload=("a", "b"), is_text=False, sample='{"a":1}', schema=_numbers())
        facts = step(explained(single_routes([spec]), text(a="x", b=["y"])), "model").facts
        assert facts["violations"] == [
            "the field 'a' must be a number, not \"x\"",
            "the field 'b' must be a number, not an array",
        ]
        assert (facts["schema"], facts["call"]) == ("the entry's", None)
        assert facts["error"]["class"] == "InvalidInput"

    def test_own_schema(self) -> None:
        """The model's own schema is said to be that."""
        spec = make_spec(payload=("km",), is_text=False, sample=None)
        facts = step(explained(single_routes([spec]), text(km="x"), Strict()), "model").facts
        assert facts["schema"] == "the model's own"
        assert facts["violations"] == ["the field 'km' must be a number, not \"x\""]

    def test_output_violations(self) -> None:
        """An output that violates its schema is shown, with each violation."""

        class Wrong(Moody):
            output_schema = {"type": "object", "required": ["a", "b"]}  # noqa: RUF012 - the contract

            def predict_all(self, inputs: list[str]) -> list[str]:
                return ['{"a":1,"b":2}' if each == "sample" else '{"c": 3}' for each in inputs]

        facts = step(explained(single_routes([make_spec()]), text(a=1), Wrong()), "model").facts
        assert facts["output"] == '{"c": 3}'
        assert facts["violations"] == [f"the field '{name}' is missing" for name in "ab"]

    def test_sample_fails(self) -> None:
        """A sample that fails is reported even if the message has a result."""
        explanation = explained(single_routes([DOWN]), text(lang="xx", text="fine"))
        facts = step(explanation, "model").facts
        assert explanation.verdict == "result"
        assert facts["sample_error"].startswith("model down:1 fails on its own sample: KeyError")
        assert facts["sample"]["traceback"].endswith("KeyError: ['!']")

    def test_outages(self) -> None:
        """A model that is down leaves no outcome, and shows why."""
        explanation = explained(single_routes([DOWN, MUTE]), text(lang="xx", text="!"))
        assert isinstance(explanation.result, ModelUnavailable)
        assert step(explanation, "model").facts["sample"]["failed"]
        explanation = explained(single_routes([DOWN, MUTE]), text(uuid="1"))
        assert isinstance(explanation.result, SampleMissing)

    def test_does_not_load(self) -> None:
        """What a constructor raises has its traceback."""

        def load(_: ModelSpec) -> Any:  # noqa: ANN401 - none
            try:
                return Path("/dev/null/weights").read_bytes()
            except OSError as cause:
                raise ModelLoadFailed("m:1", cause) from cause

        explanation = explain(single_routes([ALL]), text(), HERE, load)
        facts = step(explanation, "model").facts
        assert facts["load"]["failed"]
        assert facts["load"]["traceback"].endswith("Not a directory: '/dev/null/weights'")
        assert facts["call"] is facts["sample"] is None

    def test_refused(self) -> None:
        """A result that its topic refuses fails the last step, which shows the dead letter."""

        def refuse(message: Message, outcome: Any) -> OutcomeRecord:  # noqa: ANN401 - an outcome
            failure = Failure(ModelUnavailable("m", "x"), outcome.model)  # type: ignore[arg-type]
            return OutcomeRecord(failure, message.key, message.value, [])

        routes = single_routes([ALL])
        explanation = explain(routes, text(), HERE, lambda _: Moody(), write=refuse)
        last = step(explanation, "encode")
        assert (last.status, last.facts["record"]) == ("failed", "dead letter")


def _numbers() -> dict[str, Any]:
    numbers = {name: {"type": "number"} for name in "ab"}
    return {"type": "object", "properties": numbers}
