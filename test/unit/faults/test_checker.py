from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from dev.pipeline.records import Record
from faults import feeder
from faults.campaign_job import MODEL
from faults.checker import compare
from faults.offline import expected
from faults.outcomes import TIMES
from tidemill.errors import ModelCrashed, ModelTimedOut
from tidemill.inference.model import ModelSpec

if TYPE_CHECKING:
    from faults.outcomes import Outcome, Source
    from tidemill.errors import MessageError

IN, OUT, DEAD = "in", "out", "dead"
COUNT = 400
SPEC = msgspec.convert(MODEL | {"options": {}}, ModelSpec)


@pytest.fixture(scope="module")
def wanted() -> dict[Source, Outcome]:
    """The expected outcomes of a feeder's messages."""
    records = feeder.stream(random.Random(7))  # noqa: S311 - the same at each run
    sent = [
        Record(IN, number % 3, number // 3, 1_700_000_000_000 + number, **next(records))
        for number in range(COUNT)
    ]
    return expected(sent, [SPEC], OUT, DEAD)


@pytest.fixture
def written(wanted: dict[Source, Outcome]) -> list[Record]:
    """Records that answer each message once, with other times, in the order of a reader."""
    times = b'"ts_start":"2026-01-01T00:00:00.000Z","ts_end":"2026","process_time":0.25,'
    records = []
    for number, outcome in enumerate(wanted.values()):
        value = outcome.value
        if outcome.topic == OUT:
            assert value is not None
            value = value.replace(b'"times":0,', times)
            assert TIMES.search(value)
        records.append(
            Record(outcome.topic, 0, number, 0, outcome.key, value, list(outcome.headers))
        )
    return records


def with_key(written: list[Record]) -> list[int]:
    """Return the indexes of one key's results from one input partition."""
    keys = [record.key for record in written]
    results = [
        number
        for number, record in enumerate(written)
        if record.key == b"key-1" and record.topic == OUT and keys.count(b"key-1") > 1
    ]
    # A key is ordered only within its input partition.
    same = [n for n in results if written[n].header("tidemill.source.partition") == "1"]
    assert len(same) > 1
    return same


class TestVerdict:
    """The verdict names every fault in the topics."""

    def test_all_is_well(self, wanted: dict[Source, Outcome], written: list[Record]) -> None:
        """One outcome for each message keeps the promise, whatever times it holds."""
        verdict = compare(written, wanted, OUT)
        assert verdict.holds(exactly_once=True)
        assert verdict.inputs == verdict.outcomes == COUNT
        assert {record.topic for record in written} == {OUT, DEAD}

    def test_lost(self, wanted: dict[Source, Outcome], written: list[Record]) -> None:
        """A message without an outcome is lost, in both modes."""
        verdict = compare(written[:5] + written[6:], wanted, OUT)
        assert verdict.faults == {"lost": (list(wanted)[5],)}
        assert not verdict.holds(exactly_once=False)

    def test_duplicate(self, wanted: dict[Source, Outcome], written: list[Record]) -> None:
        """An equal second outcome breaks exactly-once only."""
        verdict = compare([*written, written[9]], wanted, OUT)
        assert verdict.faults == {"duplicates": (list(wanted)[9],)}
        assert verdict.holds(exactly_once=False)
        assert not verdict.holds(exactly_once=True)

    def test_duplicate_that_differs(
        self, wanted: dict[Source, Outcome], written: list[Record]
    ) -> None:
        """A different second outcome breaks at-least-once too."""
        verdict = compare([*written, replace(written[9], key=b"other")], wanted, OUT)
        assert verdict.faults.keys() == {"duplicates", "unlike"}
        assert not verdict.holds(exactly_once=False)

    def test_result_and_dead_letter(
        self, wanted: dict[Source, Outcome], written: list[Record]
    ) -> None:
        """A dead letter for a message with a result is a different second outcome."""
        verdict = compare([*written, replace(written[3], topic=DEAD)], wanted, OUT)
        assert verdict.faults.keys() == {"duplicates", "unlike"}

    def test_reordered(self, wanted: dict[Source, Outcome], written: list[Record]) -> None:
        """A later message's result before an earlier one's with the same key is an inversion."""
        first, second = with_key(written)[:2]
        written[first], written[second] = written[second], written[first]
        verdict = compare(written, wanted, OUT)
        assert verdict.faults == {"inversions": (list(wanted)[first],)}

    def test_other_keys(self, wanted: dict[Source, Outcome], written: list[Record]) -> None:
        """Messages with different keys have no order."""
        first = with_key(written)[0]
        moved = next(n for n, record in enumerate(written) if n > first and record.key != b"key-1")
        written[first:moved] = [*written[first + 1 : moved], written[first]]
        late = [record.key for record in written[first : moved - 1]]
        assert b"key-1" not in late
        assert compare(written, wanted, OUT).holds(exactly_once=True)

    @pytest.mark.parametrize(
        "change",
        [
            {"value": b'{"answer": "something else"}'},
            {"value": None},
            {"key": b"another"},
            {"headers": "without the first"},
        ],
    )
    def test_altered(
        self, wanted: dict[Source, Outcome], written: list[Record], change: dict[str, Any]
    ) -> None:
        """A value, key or header that differs from an offline run's is reported."""
        index = next(n for n, record in enumerate(written) if record.header("trace"))
        if "headers" in change:
            change = {"headers": written[index].headers[1:]}
        written[index] = replace(written[index], **change)
        assert compare(written, wanted, OUT).faults == {"altered": (list(wanted)[index],)}

    @pytest.mark.parametrize("error", [ModelCrashed(-9), ModelTimedOut(30.0)])
    def test_blamed(
        self, wanted: dict[Source, Outcome], written: list[Record], error: MessageError
    ) -> None:
        """A message blamed for a kill is altered: in a campaign, no message ends a process."""
        message, outcome = next(item for item in wanted.items() if item[1].topic == OUT)
        reason = [("tidemill.error.class", type(error).__name__.encode())]
        index = list(wanted).index(message)
        headers = [*outcome.headers, *reason]
        written[index] = replace(written[index], topic=DEAD, headers=headers)
        verdict = compare(written, wanted, OUT)
        assert verdict.faults == {"altered": (message,)}
        assert not verdict.holds(exactly_once=False)

    def test_no_times(self, wanted: dict[Source, Outcome], written: list[Record]) -> None:
        """A result without its times is altered."""
        value = TIMES.sub(b"", written[0].value or b"")
        written[0] = replace(written[0], value=value)
        assert compare(written, wanted, OUT).faults == {"altered": (next(iter(wanted)),)}

    def test_strange(self, wanted: dict[Source, Outcome], written: list[Record]) -> None:
        """A record that belongs to no message is reported, with or without source headers."""
        unknown = [
            (name, b"99999" if name == "tidemill.source.offset" else value)
            for name, value in written[0].headers
        ]
        verdict = compare(
            [*written, replace(written[0], headers=unknown), replace(written[0], headers=[])],
            wanted,
            OUT,
        )
        assert list(verdict.faults) == ["strange"]
        assert len(verdict.strange) == 2

    def test_str(self, wanted: dict[Source, Outcome], written: list[Record]) -> None:
        """The text names each kind, its count and its first messages."""
        text = str(compare(written[30:], wanted, OUT))
        assert f"{COUNT} messages, {COUNT - 30} outcomes" in text
        assert "30 lost: ('in', 0, 0)" in text
        assert text.endswith("and 10 more")
