"""The same message gets the same answer, however it comes."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from dev import ROOT
from tidemill.batch import files
from tidemill.models import catalogue

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pyspark.sql import SparkSession

    from dev.pipeline.pipeline import Pipeline

TIMES = re.compile(rb'"ts_start":"[^"]*","ts_end":"[^"]*","process_time":[^,]*,')


# A batch says which line a result belongs to; a stream has headers for that.
PLACE = re.compile(rb',"tidemill.source":{"file":"[^"]*","line":(\d+)}(?=}$)')


def timeless(values: Iterable[bytes | None]) -> list[bytes]:
    """Return results without their times, in an order of their own."""
    without = [TIMES.subn(b"", value or b"") for value in values]
    assert all(times == 1 for _, times in without)
    return sorted(value for value, _ in without)


class TestStreamAndBatch:
    """A stream and a batch use one transform."""

    def test_results_are_equal_to_the_byte(
        self,
        spark: SparkSession,
        pipeline: Pipeline,
        tmp_path: Path,
    ) -> None:
        """The shipped models answer the demo's messages alike, but for times and lines."""
        specs = catalogue.load_models(ROOT / "models.yaml")
        lines = (ROOT / "deploy/local/input.json").read_bytes().splitlines()
        lines += [
            json.dumps({"text": text, "lang": lang, "uuid": f"{lang}-{number}"}).encode()
            for lang, text in {
                "en": "Rosa Parks was born in Tuskegee. 東京 and São Paulo, \u2028 too, on May 5.",
                "fr": "Édith Piaf a chanté à l'Olympia, à Paris. « Non », dit-elle en 1960.",
            }.items()
            for number in range(20)
        ]

        pipeline.produce(*({"value": line} for line in lines))
        pipeline.answer_all(spark, specs)
        source, target = tmp_path / "in.jsonl", tmp_path / "out"
        source.write_bytes(b"\n".join(lines))
        counts = files.run(spark, specs, str(source), str(target))

        streamed = [record.value for record in pipeline.results()]
        written = [
            line
            for part in (target / "outcome=results").glob("part-*")
            for line in part.read_bytes().split(b"\n")[:-1]
        ]
        assert counts.results == len(streamed) == len(written) > 40
        assert timeless(streamed) == timeless(PLACE.sub(b"", line) for line in written)
        for line in written:
            (number,) = PLACE.findall(line)
            assert json.loads(lines[int(number) - 1])["uuid"] == json.loads(line)["uuid"]
        dead = [
            json.loads(line)["value"].encode()
            for part in (target / "outcome=dead-letters").glob("part-*")
            for line in part.read_bytes().split(b"\n")[:-1]
        ]
        assert sorted(dead) == sorted(record.value or b"" for record in pipeline.dead_letters())
        assert len(dead) == counts.dead_letters > 0
