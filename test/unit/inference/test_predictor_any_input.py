from __future__ import annotations

import codecs
import json
from typing import TYPE_CHECKING, Any

import pytest
from any_messages import MESSAGE, Moody
from hypothesis import example, given
from hypothesis import strategies as st

from tidemill.errors import MessageError
from tidemill.inference.codec import ENVELOPE
from tidemill.inference.engine import local_engine
from tidemill.inference.headers import encode_headers
from tidemill.inference.message import Failure, Message, Prediction
from tidemill.inference.model import Limits
from tidemill.inference.predictor import Predictor
from tidemill.inference.route import single_routes

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill.inference.model import ModelSpec


def exact(value: bytes | None) -> Any:  # noqa: ANN401 - any JSON value
    """Decode JSON, but keep numbers as text.

    Raises:
        ValueError: It is not JSON. The standard library takes NaN and half surrogates for it.

    """
    text = (value or b"").removeprefix(codecs.BOM_UTF8)
    numbers: Any = {f"parse_{kind}": f"{kind} {{}}".format for kind in ("int", "float")}
    decoded = json.loads(text, parse_constant=int, object_pairs_hook=fields_of, **numbers)
    json.dumps(decoded, ensure_ascii=False).encode()
    return decoded


def fields_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object's fields; half a surrogate in an overwritten field is an error, too."""
    json.dumps(pairs, ensure_ascii=False).encode()
    return dict(pairs)


@pytest.fixture(scope="session", params=[False, True], ids=["fields", "any text"])
def predict(
    make_spec: Callable[..., ModelSpec], request: pytest.FixtureRequest
) -> Callable[[list[Message]], list[Any]]:
    """Predict messages with moody models behind different entries."""
    specs = [
        make_spec(
            name="en",
            match={"lang": "en"},
            payload="text",
            limits=Limits(batch=3, chars=20),
            echo="all",
        ),
        make_spec(name="fr", match={"lang": "fr"}, limits=Limits(batch=2), echo=("more",)),
    ]
    if request.param:
        specs.append(make_spec(name="all", id_field="more", echo=("text", "lang")))
    return Predictor(
        single_routes(specs), local_engine(lambda _: Moody(), clock=lambda: 0.0)
    ).predict


def copied(result: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a result that were copied from the message."""
    return {name: value for name, value in result.items() if name not in {"out", *ENVELOPE}}


def expected(message: Message, model: str) -> dict[str, Any]:
    """Return the copied fields that a message's result must have."""
    try:
        fields = exact(message.value)
    except ValueError:
        fields = None
    fields = fields if isinstance(fields, dict) else {}
    if model == "en:1":
        return {"uuid": None} | copied(fields)
    name, *others = ("uuid", "lang", "more") if model == "fr:1" else ("more", "text", "lang")
    return {name: fields.get(name)} | {other: fields[other] for other in others if other in fields}


class TestAnyInput:
    """Any messages have one outcome each, at the same index."""

    @given(st.lists(MESSAGE, max_size=12))
    @example([Message(b'{"text":"\\ud800","text":""}')])
    def test_one_outcome_each(
        self, predict: Callable[[list[Message]], list[Any]], messages: list[Message]
    ) -> None:
        """Nothing raises, and every outcome is a valid result or a failure with a reason."""
        outcomes = predict(messages)
        assert len(outcomes) == len(messages)
        for message, outcome in zip(messages, outcomes, strict=True):
            headers = encode_headers(message, outcome)
            assert tuple(headers[: len(message.headers)]) == message.headers
            if isinstance(outcome, Failure):
                assert isinstance(outcome.error, MessageError)
                assert str(outcome.error)
            else:
                assert isinstance(outcome, Prediction)
                result = exact(outcome.value)
                assert b"\n" not in outcome.value
                assert copied(result) == expected(message, outcome.model)

    @given(st.lists(MESSAGE, max_size=8))
    def test_company_changes_nothing(
        self, predict: Callable[[list[Message]], list[Any]], messages: list[Message]
    ) -> None:
        """A message has the same outcome alone as in a batch."""
        for message, outcome in zip(messages, predict(messages), strict=True):
            (alone,) = predict([message])
            assert type(alone) is type(outcome)
            assert encode_headers(message, alone) == encode_headers(message, outcome)
            assert getattr(alone, "value", None) == getattr(outcome, "value", None)

    @given(st.lists(MESSAGE, max_size=8))
    def test_whole_values(
        self, make_spec: Callable[..., ModelSpec], messages: list[Message]
    ) -> None:
        """The same holds if values need not be JSON."""
        predictor = Predictor(
            single_routes([make_spec()]), local_engine(lambda _: Moody(), clock=lambda: 0.0)
        )
        assert len(predictor.predict(messages)) == len(messages)
