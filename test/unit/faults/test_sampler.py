from __future__ import annotations

from dev.pipeline.records import Record
from faults.observed import Seen
from faults.sampler import Judge, Sample

IN, OUT = ("in", 0), ("out", 0)


def outcome(offset: int, stands: int, *, partition: int = 0, milliseconds: int = 0) -> Record:
    """Return an outcome of a message, at a place in the output topic."""
    headers: list[tuple[str, bytes | None]] = [
        ("tidemill.source.topic", b"in"),
        ("tidemill.source.partition", str(partition).encode()),
        ("tidemill.source.offset", str(offset).encode()),
    ]
    return Record("out", 0, stands, milliseconds, None, b"", headers)


def seen(*outcomes: Record) -> Seen:
    """Return what a reader has come by."""
    found = Seen()
    for record in outcomes:
        found.note(record)
    return found


class TestOffsets:
    """What the group's offset says is done must have been written before."""

    def test_behind_and_equal(self) -> None:
        """An offset behind the outcomes, or just after the last, is right."""
        judge = Judge(seen(outcome(0, 0), outcome(1, 1)))
        judge.judge(Sample({IN: 1}, {OUT: 2}))
        judge.judge(Sample({IN: 2}, {OUT: 2}))
        assert judge.samples == 2
        assert judge.ahead == []

    def test_ahead(self) -> None:
        """An offset beyond a message without an outcome is found, and told once."""
        judge = Judge(seen(outcome(0, 0), outcome(2, 1)))
        judge.judge(Sample({IN: 3}, {OUT: 9}))
        judge.judge(Sample({IN: 3}, {OUT: 9}))
        assert judge.ahead == ["in/0 at 3: no outcome of [1]"]

    def test_written_only_later(self) -> None:
        """An outcome that came after the offset was read does not count."""
        judge = Judge(seen(outcome(0, 0), outcome(1, 5)))
        judge.judge(Sample({IN: 2}, {OUT: 5}))
        assert judge.ahead == ["in/0 at 2: no outcome of [1]"]

    def test_other_partition(self) -> None:
        """An outcome of the same offset in another partition does not count."""
        judge = Judge(seen(outcome(0, 0, partition=1)))
        judge.judge(Sample({IN: 1}, {OUT: 1}))
        assert len(judge.ahead) == 1


class TestNextAfter:
    """Recovery is counted to the first outcome after a kill."""

    def test_first_of_each_partition(self) -> None:
        """Each input partition has a first outcome of its own; earlier ones do not count."""
        found = seen(
            outcome(0, 0, milliseconds=900),
            outcome(1, 1, milliseconds=3000),
            outcome(2, 2, milliseconds=2000),
            outcome(0, 3, partition=1, milliseconds=4000),
        )
        assert found.next_after(1.0) == {("in", 0): 2.0, ("in", 1): 4.0}
