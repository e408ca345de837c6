from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import example_models
import pytest
from clock import Clock

from dev.pipeline.messages import encode_message
from tidemill.errors import (
    InputTooLong,
    InvalidJson,
    InvalidModels,
    InvalidUtf8,
    MissingField,
    NoModel,
    NullValue,
    WrongType,
)
from tidemill.inference.engine import local_engine
from tidemill.inference.message import Failure, Message, Prediction
from tidemill.inference.model import Limits
from tidemill.inference.predictor import Predictor
from tidemill.inference.route import single_routes

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill.inference.model import ModelSpec

    MakeSpec = Callable[..., ModelSpec]


Ticking = partial(Clock, 1_700_000_000.0, step=1.25)


class Upper(example_models.Upper):
    """Answer in capitals; keep the inputs of each call."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Return one output for each input."""
        self.calls.append(inputs)
        return super().predict_all(inputs)


def message(text: object = "hi", lang: object = "en", **rest: Any) -> Message:  # noqa: ANN401
    """Make a message as the shipped models read it."""
    return Message(encode_message(text, lang, f"u-{text}"), **rest)


@pytest.fixture
def model() -> Upper:
    """Return the model that all entries share."""
    return Upper()


@pytest.fixture
def specs(make_spec: MakeSpec) -> list[ModelSpec]:
    """An English and a French entry."""
    return [
        make_spec(name=lang, match={"lang": lang}, payload="text", limits=Limits(chars=10, batch=3))
        for lang in ("en", "fr")
    ]


@pytest.fixture
def loaded() -> list[str]:
    """Return the ids of the models that were loaded."""
    return []


@pytest.fixture
def predictor(specs: list[ModelSpec], model: Upper, loaded: list[str]) -> Predictor:
    """A predictor with both entries and a fake clock."""

    def load(spec: ModelSpec) -> Upper:
        loaded.append(spec.id)
        return model

    return Predictor(single_routes(specs), local_engine(load, clock=Ticking()))


def predicted(outcome: object) -> dict[str, Any]:
    """Return the fields of a result."""
    assert isinstance(outcome, Prediction), outcome
    fields: dict[str, Any] = json.loads(outcome.value)
    return fields


def failed(outcome: object) -> Failure:
    """Return an outcome that must be a failure."""
    assert isinstance(outcome, Failure), outcome
    return outcome


class TestResult:
    """A message that a model answers becomes a result."""

    def test_envelope(self, predictor: Predictor) -> None:
        """It has copied fields, the output under the entry's name, the model and exact times."""
        assert predictor.predict([message("hi")]) == [
            Prediction(
                b'{"uuid":"u-hi","lang":"en","out":"HI","model":"en:1",'
                b'"ts_start":"2023-11-14T22:13:20.000Z","ts_end":"2023-11-14T22:13:21.250Z",'
                b'"process_time":1.25,"error_message":null}',
                "en:1",
            )
        ]

    def test_nothing(self, predictor: Predictor) -> None:
        """No messages give no outcomes."""
        assert predictor.predict([]) == []

    def test_order(self, predictor: Predictor) -> None:
        """Outcomes keep the order of the messages, whichever model answers."""
        texts = [f"t{number}" for number in range(20)]
        messages = [message(text, ("en", "fr")[i % 3 == 0]) for i, text in enumerate(texts)]
        results = [predicted(outcome) for outcome in predictor.predict(messages)]
        assert [result["out"] for result in results] == [text.upper() for text in texts]
        assert [result["lang"] for result in results] == [
            ("en", "fr")[i % 3 == 0] for i in range(20)
        ]

    def test_same_messages(self, predictor: Predictor) -> None:
        """Each of several equal messages has an outcome."""
        assert len({o.value for o in predictor.predict([message()] * 3)}) == 1  # type: ignore[union-attr]


class TestFailure:
    """A bad message becomes a failure; the others have results."""

    @pytest.mark.parametrize(
        ("value", "error", "chosen"),
        [
            (None, NullValue, None),
            (b"\xff", InvalidUtf8, None),
            (b"ham", InvalidJson, None),
            (b"[]", InvalidJson, None),
            (b'{"text":"a","uuid":"u"}', MissingField, None),
            (b'{"text":"a","uuid":"u","lang":7}', NoModel, None),
            (b'{"text":"a","uuid":"u","lang":"xx"}', NoModel, None),
            (b'{"uuid":"u","lang":"fr"}', MissingField, "fr:1"),
            (b'{"text":["a"],"uuid":"u","lang":"fr"}', WrongType, "fr:1"),
            (b'{"text":1e999,"uuid":"u","lang":"fr"}', WrongType, "fr:1"),
            (b'{"text":"eleven char","uuid":"u","lang":"fr"}', InputTooLong, "fr:1"),
        ],
    )
    def test_bad_message(
        self, predictor: Predictor, value: bytes | None, error: type, chosen: str | None
    ) -> None:
        """Each problem has its own error class; the model is named if the message was routed."""
        before, outcome, after = predictor.predict([message("a"), Message(value), message("b")])
        assert type(failed(outcome).error) is error
        assert failed(outcome).model == chosen
        assert predicted(before)["out"] == "A"
        assert predicted(after)["out"] == "B"

    def test_length_in_characters(self, predictor: Predictor) -> None:
        """The limit counts characters, not bytes, and is inclusive."""
        first, second = predictor.predict([message("🌊" * 10), message("🌊" * 11)])
        assert predicted(first)["out"] == "🌊" * 10
        assert (
            str(failed(second).error)
            == "the input has 11 characters, but the model takes at most 10"
        )


class TestBatching:
    """Each model gets its own messages, in batches of the size that its entry allows."""

    def test_batch_limit(self, predictor: Predictor, model: Upper) -> None:
        """No batch is larger, and all but the last are full."""
        predictor.predict([message(str(number)) for number in range(8)])
        assert model.calls == [["0", "1", "2"], ["3", "4", "5"], ["6", "7"]]

    def test_apart(self, predictor: Predictor, model: Upper) -> None:
        """A batch has inputs for one model only."""
        predictor.predict([message("a"), message("b", "fr"), message("c"), message("d", "fr")])
        assert model.calls == [["a", "c"], ["b", "d"]]

    def test_times_of_a_batch(self, predictor: Predictor) -> None:
        """Results of one call share its times; those of the next call have later ones."""
        results = [predicted(o) for o in predictor.predict([message(str(n)) for n in range(4)])]
        starts = [result["ts_start"] for result in results]
        assert starts[0] == starts[1] == starts[2] < starts[3]
        assert {result["process_time"] for result in results} == {1.25}


class TestLoading:
    """A model is loaded only when a message needs it."""

    def test_not_at_start(self, predictor: Predictor, loaded: list[str]) -> None:
        """Making a predictor loads nothing."""
        assert loaded == []

    def test_only_the_one_needed(self, predictor: Predictor, loaded: list[str]) -> None:
        """The other model stays unloaded."""
        predictor.predict([message(lang="fr")])
        assert set(loaded) == {"fr:1"}

    @pytest.mark.parametrize("value", [None, b"\xff", b"{", b'{"lang":"xx"}', b'{"lang":"en"}'])
    def test_nothing_readable(
        self, predictor: Predictor, loaded: list[str], value: bytes | None
    ) -> None:
        """A batch without a readable message loads no model."""
        assert len(predictor.predict([Message(value)] * 5)) == 5
        assert loaded == []

    def test_nothing_short_enough(
        self, predictor: Predictor, loaded: list[str], model: Upper
    ) -> None:
        """A batch of inputs that are all too long loads no model, either."""
        outcomes = predictor.predict([message("x" * 11)] * 5)
        assert {type(failed(outcome).error) for outcome in outcomes} == {InputTooLong}
        assert loaded == []
        assert model.calls == []

    def test_duplicates(self, make_spec: MakeSpec) -> None:
        """Two entries for the same messages are refused at once."""
        with pytest.raises(InvalidModels):
            Predictor(
                single_routes([make_spec()] * 2), local_engine(lambda _: Upper(), clock=Ticking())
            )


class TestWholeValue:
    """An entry without a payload field takes the whole value."""

    def predictor(self, model: Upper, *specs: ModelSpec) -> Predictor:
        """Make a predictor with some entries."""
        return Predictor(single_routes(specs), local_engine(lambda _: model, clock=Ticking()))

    @pytest.mark.parametrize(
        "value", ["", "ham", "{", "[]", '"uuid"', '{"uuid":}', "a\nb\x00", "Zoë", "[" * 99_999]
    )
    def test_any_text(self, make_spec: MakeSpec, model: Upper, value: str) -> None:
        """If it matches every message, a value need not be JSON, and then has no id."""
        (outcome,) = self.predictor(model, make_spec(echo=("a",))).predict(
            [Message(value.encode())]
        )
        assert model.calls == [[value]]
        result = predicted(outcome)
        assert result["out"] == value.upper()
        assert result["uuid"] is None
        assert "a" not in result

    def test_id(self, make_spec: MakeSpec, model: Upper) -> None:
        """The id of a JSON object is in the result, even if the model gets the whole value."""
        value = '{"uuid": "u"}'
        (outcome,) = self.predictor(model, make_spec()).predict([Message(value.encode())])
        assert model.calls == [[value]]
        assert predicted(outcome)["uuid"] == "u"

    def test_byte_order_mark(self, make_spec: MakeSpec, model: Upper) -> None:
        """A byte order mark is not part of the input."""
        values = [b"\xef\xbb\xbfham", b'\xef\xbb\xbf{"uuid": 7}', "\ufeff\ufeffx".encode()]
        outcomes = self.predictor(model, make_spec()).predict([Message(v) for v in values])
        assert model.calls == [["ham", '{"uuid": 7}', "\ufeffx"]]
        assert [predicted(outcome)["uuid"] for outcome in outcomes] == [None, 7, None]

    @pytest.mark.parametrize(("value", "error"), [(None, NullValue), (b"\xff", InvalidUtf8)])
    def test_text_still(
        self, make_spec: MakeSpec, model: Upper, value: bytes | None, error: type
    ) -> None:
        """A value must still be UTF-8."""
        (outcome,) = self.predictor(model, make_spec()).predict([Message(value)])
        assert type(failed(outcome).error) is error

    def test_with_match(self, make_spec: MakeSpec, model: Upper) -> None:
        """If it matches on a field, the value must be JSON, and the model gets it unchanged."""
        value = '{ "kind":"raw",\t"uuid" : "u" }'
        (outcome,) = self.predictor(model, make_spec(match={"kind": "raw"})).predict(
            [Message(value.encode())]
        )
        assert model.calls == [[value]]
        assert predicted(outcome)["uuid"] == "u"
        assert predicted(outcome)["kind"] == "raw"

    def test_beside_others(self, make_spec: MakeSpec, model: Upper) -> None:
        """A message that this entry can answer need not have the fields of other entries."""
        specs = [
            make_spec(name="all"),
            make_spec(name="raw", match={"kind": "raw"}, payload="text"),
        ]
        values = [
            b'{"uuid":"u","kind":"raw","text":"a"}', b'{"uuid":"v"}', b"ham", b"{}",
            b'{"kind":3}', b'{"kind":["raw"]}', b'{"kind":null}', b'{"kind":"raw"}',
        ]  # fmt: skip
        *answered, missing = self.predictor(model, *specs).predict([Message(v) for v in values])
        assert [(predicted(o)["model"], predicted(o)["uuid"]) for o in answered] == [
            ("raw:1", "u"), ("all:1", "v"), *[("all:1", None)] * 5,
        ]  # fmt: skip
        assert isinstance(failed(missing).error, MissingField)
        assert failed(missing).model == "raw:1"

    @pytest.mark.parametrize(
        "fallback", [{"payload": "text"}, {"match": {"lang": "fr"}}], ids=["payload", "match"]
    )
    def test_not_json(self, make_spec: MakeSpec, model: Upper, fallback: dict[str, Any]) -> None:
        """A value that is not a JSON object fails if every entry reads fields."""
        specs = [make_spec(name="en", match={"lang": "en"}), make_spec(name="other", **fallback)]
        (outcome,) = self.predictor(model, *specs).predict([Message(b'{"text": "a", }')])
        assert isinstance(failed(outcome).error, InvalidJson)
        assert str(failed(outcome).error).endswith(
            "there is a trailing comma before '}' at line 1, column 15"
        )


class TestCopied:
    """A result copies fields of its message exactly as they are written."""

    EXACT = (
        "1.0", "12345678901234567890123", "1e999", "-0", '"\\u0041"', "null", "true", '"Zoë"', "[]",
        '{"$oid":"5f1"}',
    )  # fmt: skip

    def answer(self, spec: ModelSpec, value: str) -> str:
        """Return the result of one message."""
        predictor = Predictor(
            single_routes([spec]), local_engine(lambda _: Upper(), clock=Ticking())
        )
        (outcome,) = predictor.predict([Message(value.encode())])
        assert isinstance(outcome, Prediction), outcome
        return outcome.value.decode()

    @pytest.mark.parametrize("value", EXACT)
    def test_exact(self, make_spec: MakeSpec, value: str) -> None:
        """Any JSON value is copied without changing a digit."""
        spec = make_spec(payload="text", id_field="order", echo=("at",))
        result = self.answer(spec, f'{{"text": "a", "at": {value}, "order": {value}}}')
        assert result.startswith(f'{{"order":{value},"at":{value},"out":"A","model":"m:1",')

    def test_one_line(self, make_spec: MakeSpec) -> None:
        """White space between parts is removed, so a result is one line."""
        result = self.answer(make_spec(echo=("a",)), '{"a": {\n"b": [\r\n 1 ]}}')
        assert '"a":{"b":[1]}' in result
        assert "\n" not in result

    def test_without_id(self, make_spec: MakeSpec) -> None:
        """A missing id is null, unless the entry has no id field."""
        assert self.answer(make_spec(payload="text"), '{"text":"a"}').startswith('{"uuid":null,')
        assert self.answer(make_spec(payload="text", id_field=None), '{"text":"a"}').startswith(
            '{"out":"A",'
        )

    def test_absent(self, make_spec: MakeSpec) -> None:
        """A missing field is not in the result."""
        assert "absent" not in self.answer(make_spec(echo=("absent",)), "{}")

    def test_all(self, make_spec: MakeSpec) -> None:
        """With "all", the id and matched fields come first, and the result's own fields win."""
        spec = make_spec(match={"lang": "en"}, payload="text", echo="all")
        value = '{"text":"a","n":1,"n":2,"model":"x","out":0,"lang":"en","uuid":"u"}'
        value = value.replace("}", ',"tidemill.source":1}')
        result = self.answer(spec, value)
        assert result.startswith('{"uuid":"u","lang":"en","text":"a","n":2,"out":"A","model":"m:1"')
        assert result.count('"model"') == result.count('"out"') == 1
        assert "tidemill.source" not in result  # a batch adds its own

    def test_matched(self, make_spec: MakeSpec) -> None:
        """A matched field is in the result as the message has it."""
        result = self.answer(make_spec(match={"kind": 3}), '{"kind": 3.0}')
        assert result.startswith('{"uuid":null,"kind":3.0,')

    def test_nothing_to_parse(self, make_spec: MakeSpec) -> None:
        """An entry that takes the whole value and has no id field copies nothing."""
        assert self.answer(make_spec(id_field=None), '{"a":1}').startswith('{"out":')

    def test_nested_to_the_limit(self, make_spec: MakeSpec) -> None:
        """A value of any depth is either copied, or its message fails."""
        spec = make_spec(match={"a": 1}, echo=("b",))
        predictor = Predictor(
            single_routes([spec, make_spec(name="n", payload="t", echo="all")]),
            local_engine(lambda _: Upper(), clock=Ticking()),
        )
        for depth in range(700, 1010):
            deep = "[" * depth + "]" * depth
            values = f'{{"a":1,"b":{deep}}}', f'{{"t":"","b":{deep}}}', f'{{"t":{deep}}}'
            for outcome in predictor.predict([Message(value.encode()) for value in values]):
                assert isinstance(outcome, Prediction | Failure)
