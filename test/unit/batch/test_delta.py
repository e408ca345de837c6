"""Read and write Delta tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from batch_runs import in_process, results, run_batch
from deltalake import DeltaTable, convert_to_deltalake, write_deltalake
from example_models import Upper
from pyarrow import parquet
from specs import make_spec

from tidemill.errors import InputUnreadable, OutputUnusable
from tidemill.inference.route import single_routes

if TYPE_CHECKING:
    from tidemill.batch.summary import Summary

ROUTES = single_routes([make_spec(payload="text", id_field=None)])


def run(source: str = "delta:in", target: str = "delta:out", model: Any = None) -> Summary:  # noqa: ANN401
    """Run a batch."""
    return run_batch(ROUTES, source, target, in_process(ROUTES, model or Upper()))


def protocol(**changes: object) -> None:
    """Let the log of a new table ask for more of its readers."""
    write_deltalake("in", pa.table({"text": ["a"]}))
    (log,) = Path("in/_delta_log").glob("*.json")
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    for entry in entries:
        if "protocol" in entry:
            entry["protocol"] = {"minReaderVersion": 3, "minWriterVersion": 7, **changes}
    log.write_text("".join(f"{json.dumps(entry)}\n" for entry in entries))


class TestRead:
    """The rows of one version of a table."""

    def test_partitions(self) -> None:
        """Partition columns are columns; values may have characters that a path cannot have."""
        kinds = ["a b/é%", "c", None]
        write_deltalake("in", pa.table({"text": [*"abc"], "k": kinds}), partition_by=["k"])
        assert run(target="parquet:out").results == 3
        found = {row["k"]: row["out"] for row in results(Path("out"))}
        assert found == {"a b/é%": "A", "c": "B", None: "C"}

    def test_similar_names(self) -> None:
        """A file whose name ends like another's is not taken for it."""
        Path("in").mkdir()
        for name in ("1", "11"):
            parquet.write_table(pa.table({"text": [name]}), f"in/{name}.parquet")
        convert_to_deltalake("in")
        assert run().results == 2

    def test_rows_in_order(self) -> None:
        """Each row has its number in its file, across row groups."""
        rows = pa.table({"text": [str(i) for i in range(3000)]})
        Path("in").mkdir()
        parquet.write_table(rows, "in/a.parquet", row_group_size=700)
        convert_to_deltalake("in")
        run(target="jsonl:out")
        found = [(row["tidemill.source"]["row"], row["out"]) for row in results(Path("out"))]
        assert found == [(i, str(i)) for i in range(3000)]

    def test_a_new_version(self) -> None:
        """A table that changes while it is read is read as it was."""
        write_deltalake("in", pa.table({"text": ["a", "b"]}))

        class Writing(Upper):
            def predict_all(self, inputs: list[str]) -> list[str]:
                write_deltalake("in", pa.table({"text": ["c"]}), mode="overwrite")
                return super().predict_all(inputs)

        assert run(target="jsonl:out", model=Writing()).results == 2
        assert [row["out"] for row in results(Path("out"))] == ["A", "B"]

    @pytest.mark.parametrize("feature", ["deletionVectors", "columnMapping"])
    def test_features(self, feature: str) -> None:
        """A feature that is not supported is named before anything is read."""
        protocol(readerFeatures=[feature], writerFeatures=[feature])
        with pytest.raises(InputUnreadable, match=f"(?i){feature}"):
            run()

    def test_no_table(self) -> None:
        """A folder without a log is no table."""
        Path("in").mkdir()
        with pytest.raises(InputUnreadable, match=r"cannot read /.*/in: "):
            run()

    def test_no_rows(self) -> None:
        """A table may be empty."""
        write_deltalake("in", pa.table({"text": pa.array([], pa.string())}))
        assert run().messages == 0


class TestWrite:
    """The results are a table."""

    def test_table(self) -> None:
        """The table has the columns and types of the input, and the result."""
        write_deltalake("in", pa.table({"text": ["a"], "n": pa.array([1], pa.int32())}))
        run()
        table = DeltaTable("out/results").to_pyarrow_table()
        assert table.schema.field("n").type == pa.int32()
        assert table.column("out").to_pylist() == ["A"]


class TestRefused:
    """Delta refuses some outputs that other formats accept."""

    def test_similar_names(self) -> None:
        """The names of two columns differ only in case."""
        parquet.write_table(pa.table({"text": ["a"], "Text": ["b"]}), "in.parquet")
        with pytest.raises(OutputUnusable, match="Duplicate field name"):
            run("parquet:in.parquet")
        assert not Path("out").exists()
