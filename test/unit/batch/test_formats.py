"""Run batches between all formats, over rows of any content."""

from __future__ import annotations

import json
import shutil
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from batch_runs import dead_letters, in_process, results, run_batch, write_rows
from example_models import Upper
from hypothesis import given, settings
from hypothesis import strategies as st
from specs import make_spec

from tidemill.inference.route import single_routes

FORMATS = ("jsonl", "csv", "parquet", "delta")
ROUTES = single_routes([make_spec(payload="text", id_field="id")])
ENGINE = in_process(ROUTES, Upper())
# Without surrogates, which UTF-8 does not have.
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.sampled_from(['"', "a,b", "a\nb", "a\r\nb", "\r", "\0", "'", ";", "\t", "\ufeff", "raise"]),
    st.sampled_from(["0", "007", "1e400", "-0", "1.50", "12345678901234567890", "true", "NaN"]),
)
ROWS = st.lists(
    st.fixed_dictionaries({"text": TEXTS, "number": st.integers(-(2**63), 2**63 - 1)}),
    min_size=1,
    max_size=12,
)


def unit(kind: str) -> str:
    """Return how a format counts its rows."""
    return "row" if kind in {"parquet", "delta"} else "line"


class TestEveryPair:
    """Each row has one outcome, in order, whatever the formats of the input and output are."""

    @pytest.mark.parametrize(("source", "target"), [*product(FORMATS, FORMATS)])
    @given(ROWS)
    @settings(max_examples=12)
    def test_one_outcome_each(self, source: str, target: str, rows: list[dict[str, Any]]) -> None:
        """Results and dead letters name the rows that they are from; columns keep their values."""
        folder = Path(tempfile.mkdtemp())
        try:
            # The first shows that the column of a CSV file is text, though others are digits.
            rows = [{"text": "first", "number": 0}, *rows]
            rows = [{"id": f"id {i}", **row} for i, row in enumerate(rows)]
            write_rows(source, folder / "in", rows)
            summary = run_batch(
                ROUTES, f"{source}:{folder}/in", f"{target}:{folder}/out", ENGINE, part_rows=4
            )
            good, bad = results(folder / "out"), dead_letters(folder / "out")
        finally:
            shutil.rmtree(folder)
        assert (summary.messages, summary.results) == (len(rows), len(good))
        assert summary.dead_letters == len(bad)
        fails = [row["text"] == "raise" or (source == "csv" and not row["text"]) for row in rows]
        kept = [row for row, failed in zip(rows, fails, strict=True) if not failed]
        assert [row["id"] for row in good] == [row["id"] for row in kept]
        assert [row["out"] for row in good] == [row["text"].upper() for row in kept]
        letters = [json.loads(letter["value"])["id"] for letter in bad]
        assert letters == [row["id"] for row, failed in zip(rows, fails, strict=True) if failed]
        places = [int(letter["headers"][f"tidemill.source.{unit(source)}"]) for letter in bad]
        for row in good:
            place = row["tidemill.source"]
            place = json.loads(place) if target == "csv" else place
            assert Path(folder / "in", place["file"]).is_relative_to(folder / "in")
            places.append(place[unit(source)])
        assert len(set(places)) == len(rows)
        if unit(source) == "row":
            assert sorted(places) == list(range(len(rows)))
        if source != "jsonl" and target != "jsonl":
            expected = [str(row["number"]) if target == "csv" else row["number"] for row in kept]
            assert [row["number"] for row in good] == expected
            assert [row["text"] for row in good] == [row["text"] for row in kept]
