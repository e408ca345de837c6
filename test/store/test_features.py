"""Tests of look-ups with a real store: what the model gets, and what becomes a dead letter."""

from __future__ import annotations

import json
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from specs import make_spec

from tidemill.errors import (
    FeaturesMissing,
    InvalidJson,
    InvalidKey,
    InvalidTime,
    KeyMismatch,
    MessageError,
    MissingField,
    NoHistory,
    StoreUnavailable,
    TidemillError,
    UnknownColumn,
    UnknownTable,
)
from tidemill.inference.engine import local_engine
from tidemill.inference.features import complete
from tidemill.inference.message import Failure, Message, Prediction
from tidemill.inference.model import Lookup
from tidemill.inference.predictor import Predictor
from tidemill.inference.request import Request
from tidemill.inference.route import single_routes
from tidemill.store.store import Store
from tidemill.store.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tidemill.inference.features import Completed
    from tidemill.inference.message import Outcome
    from tidemill.inference.model import ModelSpec
    from tidemill.store.reader import Rows
    from tidemill.store.table import Key

HOUR = 3_600_000
PEOPLE = {f"p{n}": {"age": n, "country": "FR" if n % 2 else None} for n in range(20)}
VALUES = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3)


class Counted(Store):
    """A store that counts its queries, of which each is one statement."""

    queries = 0

    def get(self, name: str, keys: Sequence[Key]) -> Rows:
        """Count a query."""
        self.queries += 1
        return super().get(name, keys)


class Echo:
    """A model that answers with its input."""

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Return the inputs, which are JSON."""
        return inputs


@pytest.fixture
def people(url: str) -> Iterator[Counted]:
    """A store with the table `people`."""
    columns = {"id": "text", "age": "integer", "country": "text or null"}
    with Counted(url) as store:
        rows = [{"id": key, **row} for key, row in PEOPLE.items()]
        store.load(Table("people", ("id",), columns), rows)  # type: ignore[arg-type]
        yield store


def make(*lookups: Lookup, **fields: Any) -> ModelSpec:  # noqa: ANN401 - ModelSpec's fields
    """Return a spec with look-ups, by default the one of a person's columns."""
    lookup = lookups or (Lookup(table="people", key=("person",)),)
    return make_spec(is_text=False, lookup=lookup, id_field=None, **fields)


def completed(store: Store, spec: ModelSpec, *inputs: object, now: float = 0) -> list[Completed]:
    """Complete inputs at a time in seconds."""
    requests = [Request(spec, json.dumps(each)) for each in inputs]
    return complete(requests, store, lambda: now)


def one(store: Store, spec: ModelSpec, fields: object, now: float = 0) -> object:
    """Return the completed input, or the class of its error."""
    (done,) = completed(store, spec, fields, now=now)
    return json.loads(done.input) if isinstance(done.input, str) else type(done.input)


def answered(store: Store, spec: ModelSpec, *values: object, **fields: Any) -> list[Outcome]:  # noqa: ANN401
    """Return the outcomes of messages."""
    engine = local_engine(
        lambda _: Echo(), clock=time.time, complete=partial(complete, store=store, clock=time.time)
    )
    messages = [Message(json.dumps(value).encode(), **fields) for value in values]
    return Predictor(single_routes([spec]), engine).predict(messages)


class TestMerge:
    """The model gets the message's fields and the store's."""

    # The store stays as it is.
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.data())
    def test_equals_the_naive_merge(self, people: Counted, data: st.DataObject) -> None:
        """For any messages, with any fields, the input is what two dicts would give."""
        names = st.sampled_from(["age", "country", "x", "y"])
        payload = data.draw(st.none() | st.lists(names, min_size=1, unique=True).map(tuple))
        columns = data.draw(
            st.none() | st.sampled_from([{"age": "age"}, {"country": "x"}, {"age": "z"}])
        )
        default = data.draw(st.none() | st.just(dict.fromkeys((columns or {}).values(), 0)))
        spec = make(
            Lookup(table="people", key=("person",), columns=columns, default=default),
            payload=payload,
        )
        keys = st.sampled_from([*PEOPLE, "nobody"])
        message = st.builds(
            lambda key, fields: {"person": key, **fields}, keys, st.dictionaries(names, VALUES)
        )
        messages = data.draw(st.lists(message, max_size=8))
        for fields, done in zip(messages, completed(people, spec, *messages), strict=True):
            row = PEOPLE.get(fields["person"])
            if row is None and default is None:
                assert isinstance(done.input, FeaturesMissing)
                continue
            features: dict[str, Any] = default or {}
            if row is not None:
                wanted = columns or {name: name for name in row}
                features = {field: row[name] for name, field in wanted.items()}
            kept = {
                name: value
                for name, value in fields.items()
                if payload is None or name in (*payload, *features)
            }
            assert isinstance(done.input, str)
            assert json.loads(done.input) == {**features, **kept}

    def test_digits(self, people: Counted) -> None:
        """Numbers keep their digits, and the key goes to the model only if the payload has it."""
        spec = make(payload=("km",))
        (done,) = complete([Request(spec, '{"km": 4.50, "person": "p1"}')], people, lambda: 0)
        assert done.input == '{"km":4.50,"age":1,"country":"FR"}'

    def test_several_keys(self, store: Store) -> None:
        """A key of several columns is read from several fields, and two roles from one table."""
        columns: Any = {"country": "text", "id": "integer", "age": "integer"}
        rows = [{"country": "FR", "id": n, "age": n} for n in range(3)]
        store.load(Table("people", ("country", "id"), columns), rows)
        lookups = [
            Lookup(table="people", key=("land", role), columns={"age": f"{role}_age"})
            for role in ("buyer", "seller")
        ]
        fields = {"land": "FR", "buyer": 1, "seller": 2}
        assert one(store, make(*lookups), fields) == {**fields, "buyer_age": 1, "seller_age": 2}

    def test_sample(self, people: Counted) -> None:
        """The sample is complete: no look-up changes it."""
        (done,) = complete([Request(make(), None)], people, lambda: 0)
        assert (done.input, done.features, people.queries) == (None, None, 0)


class TestQueries:
    """A batch costs one query for each table."""

    def test_one(self, people: Counted) -> None:
        """Many messages for several models share a query, which asks for each key once."""
        first, second = make(name="a"), make(name="b")
        messages = [{"person": f"p{n % 20}"} for n in range(600)]
        requests = [
            Request(spec, json.dumps(fields)) for fields in messages for spec in (first, second)
        ]
        done = complete(requests, people, lambda: 0)
        assert people.queries == 1
        assert all(isinstance(each.input, str) for each in done)

    def test_more_keys_than_a_query_takes(self, people: Counted) -> None:
        """Beyond 1,000 keys there are several queries; no message is lost."""
        messages = [{"person": f"p{n}"} for n in range(1001)]
        done = completed(people, make(), *messages)
        assert people.queries == 2
        assert [isinstance(each.input, str) for each in done] == [n < 20 for n in range(1001)]

    def test_no_look_up(self, people: Counted) -> None:
        """Entries without look-ups do not touch the store."""
        completed(people, make_spec(), {"person": "p1"})
        assert people.queries == 0


class TestBadMessages:
    """A bad message gets an error of its own, and the others their features."""

    @pytest.mark.parametrize(
        ("value", "error"),
        [
            ({"person": "nobody"}, FeaturesMissing),
            ({"person": "'; DROP TABLE people__g1; --"}, FeaturesMissing),
            ({"person": "p1\0"}, InvalidKey),
            ({"person": 1}, InvalidKey),
            ({"person": 10**30}, InvalidKey),
            ({"person": True}, InvalidKey),
            ({"person": 1.5}, InvalidKey),
            ({"person": ["p1"]}, InvalidKey),
            ({"person": None}, MissingField),
            ({}, MissingField),
            ("text", InvalidJson),
            ([1], InvalidJson),
        ],
    )
    def test_one_of_three(self, people: Counted, value: object, error: type[Exception]) -> None:
        """Whatever a message has for a key, one query answers the others."""
        good = {"person": "p1"}
        outcomes = answered(people, make(), good, value, good)
        assert [type(each) for each in outcomes] == [Prediction, Failure, Prediction]
        assert type(outcomes[1].error) is error  # type: ignore[union-attr]
        assert people.queries == 1

    def test_default(self, people: Counted) -> None:
        """With a default, a message whose key has no row, or that has no key, gets its values."""
        spec = make(Lookup(table="people", key=("person",), default={"age": None}))
        assert one(people, spec, {"person": "nobody"}) == {"person": "nobody", "age": None}
        assert one(people, spec, {"person": None}) == {"person": None, "age": None}
        assert one(people, spec, {"person": 1}) is InvalidKey

    def test_error_names_table_and_key(self, people: Counted) -> None:
        """The dead letter says which key of which table is missing."""
        (outcome,) = answered(people, make(), {"person": "nobody"})
        assert isinstance(outcome, Failure)
        assert str(outcome.error) == "the table 'people' has no row for the key \"nobody\""


class TestFreshness:
    """A row that is older than `max_age` counts as missing."""

    @pytest.fixture
    def aged(self, store: Store) -> Store:
        """A store with a row of the time 0."""
        columns: Any = {"id": "text", "age": "integer", "at": "integer"}
        table = Table("people", ("id",), columns, time="at")
        store.load(table, [{"id": "p", "age": 5, "at": 0}])
        return store

    @pytest.mark.parametrize(("now", "age"), [(60, 5), (61, -1)])
    def test_default(self, aged: Store, now: float, age: int) -> None:
        """The default takes the old row's place, a moment after the row has become too old."""
        spec = make(Lookup(table="people", key=("p",), max_age=60, default={"age": -1}))
        assert one(aged, spec, {"p": "p"}, now) == {"p": "p", "age": age}

    def test_error(self, aged: Store) -> None:
        """Without a default, the error says that there is a row, but an old one."""
        spec = make(Lookup(table="people", key=("p",), max_age=60))
        (done,) = completed(aged, spec, {"p": "p"}, now=61)
        assert (
            str(done.input) == "the row of the table 'people' for the key \"p\" is older than 60 s"
        )


class TestAsOf:
    """With `time`, each message gets the row of its own time, never a later one."""

    @pytest.fixture
    def history(self, store: Store) -> Store:
        """A store whose table has a row for each hour from 1 to 3, with the hour in it."""
        columns: Any = {"id": "text", "hour": "integer", "at": "integer"}
        table = Table("people", ("id",), columns, time="at", history=True)
        store.load(table, [{"id": "p", "hour": h, "at": h * HOUR} for h in (1, 2, 3)])
        return store

    @pytest.mark.parametrize(
        ("time", "hour"),
        [
            (HOUR, 1),
            (2 * HOUR - 1, 1),
            (2 * HOUR, 2),
            ("1970-01-01T02:30:00Z", 2),
            ("1970-01-01T02:30:00", 2),
            ("1970-01-01T05:30:00+02:00", 3),
            (10**13, 3),
            (0, FeaturesMissing),
            ("yesterday", InvalidTime),
            (10**16, InvalidTime),
            (10**30, InvalidTime),
            (1.5, InvalidTime),
            (None, MissingField),
        ],
    )
    def test_field(self, history: Store, time: object, hour: object) -> None:
        """The time is a field of the message: ISO 8601, in UTC unless it says, or milliseconds."""
        spec = make(Lookup(table="people", key=("p",), time="when"), payload=("x",))
        expected = {"hour": hour} if isinstance(hour, int) else hour
        assert one(history, spec, {"p": "p", "when": time}) == expected

    def test_record_time(self, history: Store) -> None:
        """The time can be that of the record; a message of a source without times says so."""
        lookup = Lookup(table="people", key=("p",), time="tidemill.source.timestamp")
        (outcome,) = answered(history, make(lookup), {"p": "p"}, timestamp=2 * HOUR)
        assert isinstance(outcome, Prediction)
        assert json.loads(outcome.value)["out"]["hour"] == 2
        (failure,) = answered(history, make(lookup), {"p": "p"})
        assert isinstance(failure, Failure)
        assert isinstance(failure.error, MissingField)

    def test_max_age(self, history: Store) -> None:
        """Freshness counts from the message's time, too."""
        spec = make(Lookup(table="people", key=("p",), time="when", max_age=60))
        assert one(history, spec, {"p": "p", "when": HOUR + 60_000}) != FeaturesMissing
        assert one(history, spec, {"p": "p", "when": HOUR + 60_001}) is FeaturesMissing

    def test_table_without_history(self, people: Counted) -> None:
        """A table that keeps only the latest rows is a mistake of the entry, not of a message."""
        spec = make(Lookup(table="people", key=("p",), time="when"))
        assert one(people, spec, {"p": "p1", "when": 0}) is NoHistory


class TestOutage:
    """A store that is down blames no message."""

    @pytest.mark.parametrize(
        ("lookup", "error"),
        [
            (Lookup(table="pets", key=("p",)), UnknownTable),
            (Lookup(table="people", key=("p", "p")), KeyMismatch),
            (Lookup(table="people", key=("p",), columns={"size": "size"}), UnknownColumn),
        ],
    )
    def test_wrong_entry(self, people: Counted, lookup: Lookup, error: type[TidemillError]) -> None:
        """If the entry is wrong, its inputs have no outcome, and those of others do."""
        engine = local_engine(
            lambda _: Echo(), clock=time.time, complete=partial(complete, store=people, clock=int)
        )
        wrong = Request(make(lookup, name="wrong"), '{"p": "p1"}')
        right = Request(make(name="right"), '{"person": "p1"}')
        plain = Request(make_spec(name="plain", is_text=False), "[1]")
        outputs = engine.run([wrong, right, plain, wrong])
        assert [type(each.result) for each in outputs] == [error, str, str, error]

    def test_stream(self, tmp_path: Path) -> None:
        """A predictor raises the outage, as it does for a model that is down: no dead letters."""
        file = tmp_path / "store.db"
        file.write_bytes(b"This is no database." * 100)
        with Store(f"sqlite:///{file}") as broken, pytest.raises(StoreUnavailable) as caught:
            answered(broken, make(), {"person": "p1"})
        assert not isinstance(caught.value, MessageError)


class TestGeneration:
    """A result says which generation its features are from."""

    def test_envelope(self, people: Counted) -> None:
        """The envelope has the generation of each table; without look-ups it has no such field."""
        (outcome,) = answered(people, make(), {"person": "p1"})
        people.load(people.table("people"), [{"id": "p1", "age": 50}])
        (later,) = answered(people, make(), {"person": "p1"})
        (plain,) = answered(people, make_spec(is_text=False), {"person": "p1"})
        values = [json.loads(each.value) for each in (outcome, later, plain)]  # type: ignore[union-attr]
        assert [value.get("features") for value in values] == [{"people": 1}, {"people": 2}, None]
        assert [value["out"].get("age") for value in values] == [1, 50, None]

    def test_echo_of_the_same_name(self, people: Counted) -> None:
        """A message's field `features` does not replace the result's own."""
        (outcome,) = answered(people, make(echo="all"), {"person": "p1", "features": 5})
        assert isinstance(outcome, Prediction)
        assert json.loads(outcome.value)["features"] == {"people": 1}
