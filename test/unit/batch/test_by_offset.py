from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st
from specs import make_spec

from tidemill.batch.answer import END, Work, answer
from tidemill.batch.block import Block
from tidemill.batch.formats import FORMATS
from tidemill.batch.plan import Piece, Plan, Source
from tidemill.batch.staging import RESULTS, Staging
from tidemill.inference.engine import local_engine
from tidemill.inference.message import Message
from tidemill.inference.predictor import Predictor
from tidemill.inference.route import single_routes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest


class Echo:
    """Answer with the input."""

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer every input."""
        return inputs


def offsets(_: Source, piece: Piece) -> Iterator[Block]:
    """Yield a message for each even offset, as a topic that was compacted."""
    for offset in range(piece.start, piece.stop or 0):
        message = Message(b"%d" % offset, topic="t", partition=0, offset=offset)
        yield Block([message] if offset % 2 == 0 else [], 1)


PREDICTOR = Predictor(
    single_routes([make_spec(match={})]), local_engine(lambda _: Echo(), clock=time.time)
)


class TestByOffset:
    """A split of a topic that was answered in part continues at its next offset."""

    @given(st.integers(0, 20), st.integers(1, 5), st.integers(0, 6))
    def test_continues(
        self, tmp_path_factory: pytest.TempPathFactory, stop: int, rows: int, done: int
    ) -> None:
        """Wherever a run ends, the next one reads the rest, and every message has one result."""
        folder: Path = tmp_path_factory.mktemp("run")
        source = replace(FORMATS["jsonl"], read=offsets, by_offset=True)
        piece = Piece("0", 0, stop, size=stop)
        plan = Plan(Source("kafka", "t"), [[piece]], ("jsonl", "out"), "", rows, "id")
        staging = Staging.beside(str(folder / "out")).taken()
        staging.start(plan)
        work = Work(plan, staging, source, FORMATS["jsonl"])
        interrupted = answer(work, [0], PREDICTOR)
        for _, _ in zip(range(done), interrupted, strict=False):
            pass
        interrupted.close()  # type: ignore[attr-defined]
        for _ in answer(work, [0], PREDICTOR):
            pass
        answered = [json.loads(line)["out"] for line in staging.lines(RESULTS)]
        assert sorted(answered) == [*range(0, stop, 2)]
        assert f"00000-{END}" in staging.receipts({})
