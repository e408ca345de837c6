"""Load the models in real workers, and keep the workers alive."""

from __future__ import annotations

import json
import os
import re
import socket
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pytest
from pyspark.errors import PySparkException

from faults.job_processes import parent
from tidemill.errors import (
    ConfigurationError,
    ExecutorsUnfit,
    MissingOnExecutors,
    ModelLoadFailed,
    ModelMisconfigured,
    ModelUnavailable,
)
from tidemill.inference.route import single_routes
from tidemill.periodic import PeriodicTask
from tidemill.settings import LogSettings, PoolSettings, Settings
from tidemill.spark import warmup
from tidemill.spark.conf import session_conf
from tidemill.spark.failures import translate
from tidemill.spark.udfs import predictions
from tidemill.spark.warmup import keep_warm, load_models

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyspark.sql import SparkSession

    from tidemill.inference.model import ModelSpec


class TestLoadModels:
    """The pool loads the models before the first message."""

    def test_once(
        self, spark: SparkSession, model: Callable[..., ModelSpec], tmp_path: Path
    ) -> None:
        """One process with one thread loads the models; its forks answer all workers."""
        log = tmp_path / "loaded"
        spec = model("RecordingModel", options={"log": str(log)})
        load_models(spark, [spec], PoolSettings())
        server = Path("/proc", log.read_text().strip())
        assert "tidemill.models.pool.server" in (server / "cmdline").read_text()
        assert len(list((server / "task").iterdir())) == 1
        value = json.dumps({"text": "t", "lang": "en", "uuid": "1"}).encode()
        frame = spark.createDataFrame([(value,)] * 4, "value binary").repartition(2)
        rows = frame.transform(
            predictions(single_routes([spec]), results="good", dead_letters="bad")
        ).collect()
        answers = [json.loads(row.value)["answer"] for row in rows]
        assert {parent(answer["pid"]) for answer in answers} == {int(server.name)}
        assert {answer["threads"] for answer in answers} == {1}
        assert log.read_text().split() == [server.name]

    def test_outage(self, spark: SparkSession, model: Callable[..., ModelSpec]) -> None:
        """A model that fails on its sample is named after Spark's retries."""
        with pytest.raises(PySparkException) as caught:
            load_models(spark, [model("Upper"), model("Broken")], PoolSettings())
        error = translate(caught.value, "checkpoint")
        assert type(error) is ModelUnavailable
        assert "broken:1" in str(error)

    @pytest.mark.parametrize(
        ("adapter", "error", "message"),
        [
            ("example_models:NoSuchModel", ModelMisconfigured, "has no attribute 'NoSuchModel'"),
            ("no_such_module:Model", ModelMisconfigured, "No module named 'no_such_module'"),
            ("on_the_driver:Upper", MissingOnExecutors, "module on_the_driver is missing on"),
            ("example_models:ImportsLate", MissingOnExecutors, "module on_the_driver is missing"),
        ],
    )
    def test_no_retry(
        self,
        adapter: str,
        error: type[ConfigurationError],
        message: str,
        spark: SparkSession,
        model: Callable[..., ModelSpec],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """A problem that no retry can solve is raised at once, with the worker's traceback."""
        (tmp_path / "on_the_driver.py").touch()
        monkeypatch.syspath_prepend(tmp_path)  # of this process, not of the workers
        wrong = msgspec.structs.replace(model("Wrong"), adapter=adapter)
        with pytest.raises(error, match=message) as caught:
            load_models(spark, [model("Upper"), wrong], PoolSettings())
        assert type(caught.value) is error
        assert "on_worker" not in str(caught.value)
        assert "Traceback" in "".join(caught.value.__notes__)
        if error is MissingOnExecutors:
            assert socket.gethostname() in str(caught.value)

    def test_without_tidemill(
        self, spark: SparkSession, model: Callable[..., ModelSpec], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Executors without Tidemill are reported in the same way."""

        def pickle_of_missing(*_: object) -> bytes:
            return b"cno.such.tidemill\nload\n."  # imports a missing module

        monkeypatch.setattr(warmup, "dumps", pickle_of_missing)
        with pytest.raises(ExecutorsUnfit, match="No module named 'no'"):
            load_models(spark, [model("Upper")], PoolSettings())

    @pytest.mark.parametrize(
        ("adapter", "method", "error"),
        [("Broken", "predict_all", ModelUnavailable), ("FailsAtLoad", "__init__", ModelLoadFailed)],
    )
    def test_frames_at_debug(
        self,
        spark: SparkSession,
        model: Callable[..., ModelSpec],
        adapter: str,
        method: str,
        error: type[Exception],
    ) -> None:
        """At level DEBUG, Spark's error has the frames of the model."""
        settings = Settings(log=LogSettings(level="DEBUG"))
        name = "spark.sql.execution.pyspark.udf.simplifiedTraceback.enabled"
        before: Any = spark.conf.get(name)
        spark.conf.set(name, session_conf(settings)[name])
        try:
            with pytest.raises(PySparkException) as caught:
                load_models(spark, [model(adapter)], PoolSettings())
        finally:
            spark.conf.set(name, before)
        assert re.search(rf"example_models\.py\", line \d+, in {method}", str(caught.value))
        assert type(translate(caught.value, "checkpoint")) is error


class TestKeepWarm:
    """Idle workers stay alive, and keep their Kafka clients."""

    def test_beyond_a_minute(self, spark: SparkSession) -> None:
        """Workers outlive the minute after which Spark, which checks every 10 s, ends idle ones."""

        def pid_of_worker(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for _ in batches:
                yield pa.RecordBatch.from_pydict({"pid": [os.getpid()]})

        rows = spark.range(0, 2, 1, 2).mapInArrow(pid_of_worker, "pid long").collect()
        workers = [Path("/proc", str(row.pid)) for row in rows]
        with keep_warm(spark):
            end = time.monotonic() + 75
            while time.monotonic() < end:
                assert all(worker.exists() for worker in workers)
                time.sleep(1)

    @pytest.mark.parametrize(
        ("master", "works"),
        [
            ("local", True),
            ("local[*,4]", True),
            ("local-cluster[2,1,1024]", False),
            ("k8s://https://c", False),
            ("yarn", False),
        ],
    )
    def test_cluster(self, master: str, works: bool) -> None:
        """On a cluster there is no background task, so that idle executors can be released."""
        frame = SimpleNamespace(collect=list)
        frame.coalesce = frame.mapInArrow = lambda *_: frame
        session: Any = SimpleNamespace(
            sparkContext=SimpleNamespace(master=master), range=lambda _: frame
        )
        assert isinstance(keep_warm(session), PeriodicTask) == works
