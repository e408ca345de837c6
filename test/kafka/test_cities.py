"""The example of many small models, with a few of them."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from batch_runs import on_spark, run_batch

from examples.cities import messages, report, run, train
from tidemill.models import catalogue

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import SparkSession

    from dev.pipeline.pipeline import Pipeline

CITIES = messages.TESTED


class TestCities:
    """One models.yaml with tests, features and schemas, at every door."""

    def test_batch_and_stream_agree(
        self, spark: SparkSession, pipeline: Pipeline, tmp_path: Path
    ) -> None:
        """Each offer has the same model, variant and answer, or the expected dead letter."""
        for name in ("models.yaml", "offer.schema.json"):
            shutil.copy(train.MODELS.with_name(name), tmp_path)
        train.train(tmp_path / "models.yaml", CITIES)
        routes = [
            route
            for route in catalogue.load_models(tmp_path / "models.yaml")
            if route.match and route.match["city"] in CITIES
        ]
        offers = list(messages.offers(720, cities=CITIES))

        pipeline.produce(
            *({"key": offer.passenger.encode(), "value": offer.line.encode()} for offer in offers)
        )
        pipeline.answer_all(spark, routes)
        source, target = tmp_path / "offers.jsonl", tmp_path / "answers"
        source.write_text("".join(f"{offer.line}\n" for offer in offers))
        run_batch(routes, source, target, on_spark(routes, spark), name="spark")

        servers = pipeline.broker.bootstrap_servers
        stream = list(run.read_topics(servers, pipeline.output, pipeline.dead))
        batch = list(run.read_files(target))
        table = report.who_answered(routes, offers, stream)
        assert list(report.problems(table, offers, batch, stream)) == []
