from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from tidemill.settings import KafkaSettings
from tidemill.streaming.exactly_once import worker as module
from tidemill.streaming.exactly_once.owner import PartitionOwner
from tidemill.streaming.exactly_once.position import RunEpoch
from tidemill.streaming.exactly_once.worker import TransactionalWorker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.streaming.exactly_once.position import TopicPartition

RUN = RunEpoch(1, "id")
Commit = tuple["TopicPartition", list[Any], int]


class Writer:
    """A writer that notes each commit."""

    def __init__(self, tp: TopicPartition, commits: list[Commit]) -> None:
        self._tp = tp
        self._commits = commits
        self.is_closed = False

    def commit(self, rows: Sequence[Any], next_offset: int) -> None:
        """Note the commit."""
        self._commits.append((self._tp, list(rows), next_offset))

    def close(self) -> None:
        """Note the end."""
        self.is_closed = True


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> list[Commit]:
    """Return the commits of a worker, whose partitions all have committed offset 2."""
    commits: list[Commit] = []
    owner: PartitionOwner[Any] = PartitionOwner(lambda tp: (Writer(tp, commits), 2))
    monkeypatch.setattr(module, "_owners", {RUN: owner})
    return commits


def batch(*records: tuple[str, int, int]) -> pa.RecordBatch:
    """Return a batch of records, each with its topic, partition and offset."""
    columns = zip(*records, strict=True)
    names = ("topic", "partition", "offset")
    return pa.RecordBatch.from_pydict(dict(zip(names, columns, strict=True)))


WORKER = TransactionalWorker(KafkaSettings(), "group", RUN, {})


def test_parts(commits: list[Commit]) -> None:
    """A batch has a part for each partition, without the messages that are committed."""
    records = [("a", 0, 1), ("a", 0, 2), ("a", 0, 5), ("a", 1, 0), ("a", 1, 1), ("b", 0, 7)]
    parts = list(WORKER.begin(batch(*records)))
    assert [part["offset"].to_pylist() for part, _ in parts] == [[2, 5], [], [7]]
    assert commits == []
    delivered = [
        deliver([[{"offset": offset}] for offset in part["offset"].to_pylist()])
        for part, deliver in parts
    ]
    assert delivered == [[{"offset": 2}, {"offset": 5}], [], [{"offset": 7}]]
    assert commits == [
        (("a", 0), [{"offset": 2}, {"offset": 5}], 6),
        (("b", 0), [{"offset": 7}], 8),
    ]


def test_ahead(commits: list[Commit]) -> None:
    """A batch may begin before an earlier one is delivered."""
    ((first, deliver_first),) = WORKER.begin(batch(("a", 0, 2), ("a", 0, 3)))
    ((second, deliver_second),) = WORKER.begin(batch(("a", 0, 4)))
    assert (first.num_rows, second.num_rows) == (2, 1)
    deliver_first([[], [{"n": 1}]])
    deliver_second([[{"n": 2}]])
    assert commits == [(("a", 0), [{"n": 1}], 4), (("a", 0), [{"n": 2}], 5)]


def test_next_run(commits: list[Commit], monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that gets batches of another run closes the writers of the last one."""
    list(WORKER.begin(batch(("a", 0, 2))))
    (owner,) = module._owners.values()  # noqa: SLF001 - the process's state
    (writer,) = (writer for writer, _ in owner._writers.values())  # noqa: SLF001
    monkeypatch.setattr(module, "Group", lambda *_: None)
    another = TransactionalWorker(KafkaSettings(), "group", RunEpoch(2, "id"), {})
    assert list(another.begin(batch(("a", 0, 2)).slice(1))) == []
    assert isinstance(writer, Writer)
    assert writer.is_closed
    assert list(module._owners) == [another.run]  # noqa: SLF001
    assert commits == []
