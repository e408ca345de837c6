"""Tests of A/B tests: how the variants of a route share the keys."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from specs import make_spec

from tidemill.errors import UnknownVariant
from tidemill.inference.engine import local_engine
from tidemill.inference.headers import FORCE_VARIANT, added_headers
from tidemill.inference.message import Assignment, Failure, Message, Prediction
from tidemill.inference.predictor import Predictor
from tidemill.inference.route import Route, Variant

if TYPE_CHECKING:
    from collections.abc import Mapping

# The choices of the first release between two equal variants.
RELEASED = "bbaabaabaaababaabbbababb"
KEYS = st.binary(max_size=30) | st.text(max_size=30)
LABELS = "abcdef"
WEIGHTS = st.dictionaries(st.sampled_from(LABELS), st.integers(1, 100), min_size=2, max_size=5)


def route(weights: Mapping[str, float], salt: str = "test", **fields: Any) -> Route:  # noqa: ANN401
    """Return a route with variants of these weights, in alphabetical order."""
    variants = [
        Variant(label, make_spec(version=label), weight)
        for label, weight in sorted(weights.items())
    ]
    return Route("r", {}, tuple(variants), salt=salt, **fields)


def split(one: Route, count: int = 10_000) -> list[str]:
    """Return the variant of each of the first keys."""
    return [one.choose(str(number)).name for number in range(count)]


class TestChoose:
    """A route's variants share the keys in proportion to their weights."""

    @given(WEIGHTS, st.text(max_size=9), KEYS)
    def test_sticky(self, weights: dict[str, float], salt: str, key: bytes | str) -> None:
        """A key always gets the same variant, whether it is text or its UTF-8 bytes."""
        data = key.encode(errors="surrogatepass") if isinstance(key, str) else key
        names = {route(weights, salt).choose(each).name for each in (key, data, key)}
        assert len(names) == 1
        assert names <= weights.keys()

    def test_order(self) -> None:
        """The order of the variants does not matter."""
        one = route({"a": 1, "b": 2, "c": 3})
        other = Route("other", {}, one.variants[::-1], salt="test")
        assert split(one) == split(other)

    def test_same_in_every_release(self) -> None:
        """These are the choices of the first release; a change would move users between models."""
        equal = route({"a": 50, "b": 50})
        assert "".join(equal.choose(f"user-{n}").name for n in range(24)) == RELEASED

    @pytest.mark.parametrize("weights", [{"a": 50, "b": 50}, {"a": 90, "b": 9, "c": 1}])
    def test_within_one_percent(self, weights: dict[str, float]) -> None:
        """Of 100,000 keys each variant gets its weight, within one percent of all keys."""
        counts = Counter(split(route(weights), 100_000))
        for label, weight in weights.items():
            assert abs(counts[label] - 1000 * weight) < 1000

    @given(WEIGHTS)
    @settings(max_examples=20)
    def test_shares(self, weights: dict[str, float]) -> None:
        """Each variant's share is its weight's, within five standard deviations."""
        total, counts = sum(weights.values()), Counter(split(route(weights)))
        for label, weight in weights.items():
            share = weight / total
            assert abs(counts[label] - 10_000 * share) <= 5 * (10_000 * share * (1 - share)) ** 0.5

    def test_independent(self) -> None:
        """Two salts split the same keys independently."""
        weights = {"a": 50, "b": 50}
        pairs = zip(split(route(weights, "one")), split(route(weights, "two")), strict=True)
        assert 4750 < sum(one == other for one, other in pairs) < 5250

    def test_no_weight(self) -> None:
        """A variant without weight gets no key."""
        assert set(split(route({"a": 0, "b": 100}))) == {"b"}

    def test_one_variant(self) -> None:
        """A single variant gets every key, whatever its weight."""
        assert route({"a": 7}).choose(b"").name == "a"


class TestChanges:
    """A changed weight moves only the keys that must move."""

    @given(WEIGHTS, st.sampled_from(LABELS), st.integers(0, 100))
    @settings(max_examples=50)
    def test_one_weight(self, weights: dict[str, float], label: str, weight: int) -> None:
        """Keys move to a variant whose weight grows, or from one whose weight falls; no others."""
        before, after = route(weights), route(weights | {label: weight})
        grows = weight > weights.get(label, 0)
        for old, new in zip(split(before, 500), split(after, 500), strict=True):
            assert new in {old, label} if grows else old in {new, label}

    @given(WEIGHTS, st.integers(1, 100))
    @settings(max_examples=20)
    def test_new_variant(self, weights: dict[str, float], weight: int) -> None:
        """A new variant takes its share from the others, and nothing else moves."""
        pairs = list(
            zip(split(route(weights)), split(route(weights | {"new": weight})), strict=True)
        )
        assert all(new in {old, "new"} for old, new in pairs)
        share = weight / (sum(weights.values()) + weight)
        moved = sum(old != new for old, new in pairs)
        assert abs(moved - 10_000 * share) <= 5 * (10_000 * share * (1 - share)) ** 0.5


class Upper:
    """A model that returns its inputs in capitals."""

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Return JSON texts."""
        return [json.dumps(text.upper()) for text in inputs]


def predict(one: Route, message: Message) -> Prediction | Failure:
    """Return the outcome of a message on the only route."""
    (outcome,) = Predictor([one], local_engine(lambda _: Upper(), clock=lambda: 0.0)).predict(
        [message]
    )
    return outcome


HALVES: dict[str, float] = {"a": 50, "b": 50}


class TestResults:
    """Results and dead letters name the variant that answered."""

    def test_named(self) -> None:
        """Its name is in the result and in a header, with the model and its version."""
        one = route(HALVES)
        outcome = predict(one, Message(b'{"uuid": 1}', key=b"k"))
        label = one.choose(b"k").name
        assert isinstance(outcome, Prediction)
        assert outcome.assignment == Assignment(label)
        fields = json.loads(outcome.value)
        assert (fields["variant"], fields["model"]) == (label, f"m:{label}")
        assert "variant_forced" not in fields
        headers = dict(added_headers(Message(b""), outcome))
        assert headers == {
            "tidemill.model": f"m:{label}".encode(),
            "tidemill.variant": label.encode(),
        }

    def test_single(self) -> None:
        """A route with one model has no variants to name."""
        outcome = predict(route({"a": 1}), Message(b"{}"))
        assert isinstance(outcome, Prediction)
        assert outcome.assignment is None
        assert "variant" not in json.loads(outcome.value)

    def test_dead_letter(self) -> None:
        """A dead letter names the variant too, if one was chosen."""
        spec = make_spec(payload="text", version="a")
        one = Route("r", {}, (Variant("a", spec), Variant("b", spec)))
        outcome = predict(one, Message(b"{}", key=b"k"))
        assert isinstance(outcome, Failure)
        assert outcome.assignment == Assignment(one.choose(b"k").name)


class TestKey:
    """The key is a field, the record's key, or the value."""

    @pytest.mark.parametrize(
        ("value", "key"),
        [
            (b'{"user": "u1"}', "u1"),
            (b'{"user": "\\u0075\\u0031"}', "u1"),
            (b'{"user": 7}', "7"),
            (b'{"user": {"id" : 7}}', '{"id":7}'),
        ],
    )
    def test_field(self, value: bytes, key: str) -> None:
        """A field's text is the key, or its JSON without white space; the record's key is not."""
        one = route(dict.fromkeys(LABELS, 1), split_by="user")
        outcome = predict(one, Message(value, key=b"other"))
        assert outcome.assignment == Assignment(one.choose(key).name)

    def test_missing(self) -> None:
        """A message without the field becomes a dead letter that names it."""
        outcome = predict(route(HALVES, split_by="user"), Message(b"{}", key=b"k"))
        assert isinstance(outcome, Failure)
        assert "'user'" in str(outcome.error)

    @pytest.mark.parametrize("key", [None, b""])
    def test_no_key(self, key: bytes | None) -> None:
        """Without a field and a key, the value is the key."""
        one = route(dict.fromkeys(LABELS, 1))
        for number in range(20):
            value = json.dumps({"n": number})
            outcome = predict(one, Message(value.encode(), key=key))
            assert outcome.assignment == Assignment(one.choose(value).name)


class TestForced:
    """A message may force a variant, and its result says so."""

    @pytest.mark.parametrize("label", HALVES)
    @pytest.mark.parametrize("place", ["header", "field"])
    def test_forced(self, label: str, place: str) -> None:
        """A header or a field names it, whatever the key and the weights."""
        message = (
            Message(b"{}", headers=((FORCE_VARIANT, label.encode()),))
            if place == "header"
            else Message(json.dumps({FORCE_VARIANT: label}).encode())
        )
        outcome = predict(route({**HALVES, label: 0}), message)
        assert isinstance(outcome, Prediction)
        fields = json.loads(outcome.value)
        assert (fields["variant"], fields["variant_forced"]) == (label, True)
        assert ("tidemill.variant.forced", b"true") in added_headers(message, outcome)

    def test_last_header(self) -> None:
        """The last header of the name counts, and a header before a field."""
        headers = ((FORCE_VARIANT, b"a"), (FORCE_VARIANT, b"b"), (FORCE_VARIANT, None))
        message = Message(b'{"tidemill.variant.force": "a"}', headers=headers)
        assert predict(route(HALVES), message).assignment == Assignment("b", forced=True)

    @pytest.mark.parametrize("name", [b"c", b"", b"\xff"])
    def test_unknown(self, name: bytes) -> None:
        """A variant that does not exist makes a dead letter that names those that do."""
        outcome = predict(route(HALVES), Message(b"{}", headers=((FORCE_VARIANT, name),)))
        assert isinstance(outcome, Failure)
        assert isinstance(outcome.error, UnknownVariant)
        assert str(outcome.error).endswith("it has a, b")
        assert outcome.model is None

    def test_no_text(self) -> None:
        """A field that is not text names no variant, either."""
        outcome = predict(route(HALVES), Message(b'{"tidemill.variant.force": 5}'))
        assert isinstance(outcome, Failure)
        assert isinstance(outcome.error, UnknownVariant)

    def test_echoed(self) -> None:
        """A message that is a forced result itself does not make its own result look forced."""
        echoing = Route(
            "r",
            {},
            tuple(Variant(each, make_spec(version=each, echo="all"), 50) for each in HALVES),
        )
        outcome = predict(echoing, Message(b'{"variant": "z", "variant_forced": true}', key=b"k"))
        assert isinstance(outcome, Prediction)
        fields = json.loads(outcome.value)
        assert fields["variant"] in HALVES
        assert "variant_forced" not in fields

    def test_single(self) -> None:
        """A route with one model has nothing to force."""
        outcome = predict(route({"a": 1}), Message(b"{}", headers=((FORCE_VARIANT, b"x"),)))
        assert isinstance(outcome, Prediction)
