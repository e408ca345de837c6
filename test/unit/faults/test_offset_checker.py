from __future__ import annotations

from dev.pipeline.records import Record
from faults.observed import ObservedOutcomes
from faults.offset_checker import OffsetChecker, Sample

IN, OUT = ("in", 0), ("out", 0)


def outcome(
    offset: int, position: int, *, partition: int = 0, milliseconds: int = 0, value: bytes = b""
) -> Record:
    """Return the outcome of a message, at an offset of the output topic."""
    headers: list[tuple[str, bytes | None]] = [
        ("tidemill.source.topic", b"in"),
        ("tidemill.source.partition", str(partition).encode()),
        ("tidemill.source.offset", str(offset).encode()),
    ]
    return Record("out", 0, position, milliseconds, None, value, headers)


def observe(*outcomes: Record) -> ObservedOutcomes:
    """Return the outcomes as a reader has collected them."""
    observed = ObservedOutcomes()
    for record in outcomes:
        observed.add(record)
    return observed


class TestOffsets:
    """Every message before the group's offset must have an outcome."""

    def test_behind_and_equal(self) -> None:
        """An offset may be behind the outcomes, or just after the last one."""
        checker = OffsetChecker(observe(outcome(0, 0), outcome(1, 1)))
        checker.check(Sample({IN: 1}, {OUT: 2}))
        checker.check(Sample({IN: 2}, {OUT: 2}))
        assert checker.samples == 2
        assert checker.ahead == []

    def test_ahead(self) -> None:
        """An offset past a message without an outcome is reported once."""
        checker = OffsetChecker(observe(outcome(0, 0), outcome(2, 1)))
        checker.check(Sample({IN: 3}, {OUT: 9}))
        checker.check(Sample({IN: 3}, {OUT: 9}))
        assert checker.ahead == ["in/0 at 3: no outcome of [1]"]

    def test_written_only_later(self) -> None:
        """An outcome that was written after the offset was read does not count."""
        checker = OffsetChecker(observe(outcome(0, 0), outcome(1, 5)))
        checker.check(Sample({IN: 2}, {OUT: 5}))
        assert checker.ahead == ["in/0 at 2: no outcome of [1]"]

    def test_other_partition(self) -> None:
        """An outcome of the same offset in another partition does not count."""
        checker = OffsetChecker(observe(outcome(0, 0, partition=1)))
        checker.check(Sample({IN: 1}, {OUT: 1}))
        assert len(checker.ahead) == 1


class TestFirstTimesAfter:
    """Recovery lasts until the first outcome after a kill."""

    def test_first_of_each_partition(self) -> None:
        """Each input partition has its own first outcome; earlier outcomes do not count."""
        observed = observe(
            outcome(0, 0, milliseconds=900),
            outcome(1, 1, milliseconds=3000),
            outcome(2, 2, milliseconds=2000),
            outcome(0, 3, partition=1, milliseconds=4000),
        )
        assert observed.first_times_after(1.0) == {("in", 0): 2.0, ("in", 1): 4.0}

    def test_started_after(self) -> None:
        """Outcomes that were computed ahead do not count, and dead letters have no such time."""
        early, late = (
            b'{"ts_start":"1970-01-01T00:00:0%d.500Z","ts_end":""}' % second for second in (1, 2)
        )
        observed = observe(
            outcome(0, 0, milliseconds=3000, value=early),
            outcome(1, 1, milliseconds=4000, value=late),
            outcome(0, 2, partition=1, milliseconds=4000),
        )
        assert observed.first_times_after(2.5, 2.0) == {("in", 0): 4.0}
        assert observed.first_times_after(2.5) == {("in", 0): 3.0, ("in", 1): 4.0}
