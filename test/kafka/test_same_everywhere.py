"""The same message gets the same answer, however it comes."""

from __future__ import annotations

import io
import json
import re
from typing import TYPE_CHECKING

from batch_runs import dead_letters, on_spark, run_batch

from dev import ROOT
from tidemill.inference.route import all_specs
from tidemill.models import catalogue
from tidemill.predict import predict

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


class TestEveryDoor:
    """A stream, a batch and `predict` use one predictor."""

    def test_results_are_equal_to_the_byte(
        self,
        spark: SparkSession,
        pipeline: Pipeline,
        tmp_path: Path,
    ) -> None:
        """The shipped models process the demo's messages alike, except for times and lines."""
        routes = catalogue.load_models(ROOT / "models.yaml")
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
        pipeline.answer_all(spark, all_specs(routes))
        source, target = tmp_path / "in.jsonl", tmp_path / "out"
        source.write_bytes(b"\n".join(lines))
        counts = run_batch(routes, source, target, on_spark(routes, spark), name="spark")
        results, letters = io.BytesIO(), io.BytesIO()
        predict(routes, io.BytesIO(source.read_bytes()), results, letters)

        streamed = [record.value for record in pipeline.results()]
        written = [
            line
            for part in (target / "results").glob("part-*")
            for line in part.read_bytes().split(b"\n")[:-1]
        ]
        assert counts.results == len(streamed) == len(written) > 40
        assert timeless(streamed) == timeless(PLACE.sub(b"", line) for line in written)
        assert timeless(streamed) == timeless(results.getvalue().splitlines())
        for line in written:
            (number,) = PLACE.findall(line)
            assert json.loads(lines[int(number) - 1])["uuid"] == json.loads(line)["uuid"]
        dead = dead_letters(target)
        sent = sorted(record.value or b"" for record in pipeline.dead_letters())
        assert sent == sorted(letter["value"].encode() for letter in dead)
        assert len(dead) == counts.dead_letters > 0
        for letter in dead:
            del letter["headers"]["tidemill.source.file"]  # `predict` may read a pipe
        predicted = map(json.loads, letters.getvalue().splitlines())
        assert sorted(dead, key=str) == sorted(predicted, key=str)
