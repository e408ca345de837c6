"""The one wiring place: settings in, a running whole out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from app.batch import files
from app.errors import CheckpointUnsupported, OutputExists
from app.models import catalogue
from app.monitoring.listener import ProgressListener
from app.monitoring.offsets import GroupCommitter, KafkaOffsetsReporter
from app.streaming import job, lifecycle, preflight, session
from app.streaming.marker import StopMarker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pyspark.sql import SparkSession

    from app.inference.model import ModelSpec
    from app.settings import Settings

log = structlog.get_logger(__name__)


def stream(settings: Settings) -> None:
    """Run the streaming job until it ends or is asked to stop.

    Raises:
        TidemillError: It cannot start, or its query failed.

    """
    specs = catalogue.read(settings.models)
    for warning in preflight.check(settings.kafka, settings.stream):
        log.warning(warning)
    log.info("starting Spark")
    with session.running(settings) as spark:
        _run(spark, settings, specs)


def _run(spark: SparkSession, settings: Settings, specs: Sequence[ModelSpec]) -> None:
    kafka, options = settings.kafka, settings.stream
    by_signal = lifecycle.stop_on_signals()
    by_marker = _marker(options.checkpoint_location)
    committer = GroupCommitter(kafka, options.group_id)
    reporter = KafkaOffsetsReporter(committer, committer.close).start()
    try:
        spark.streams.addListener(ProgressListener(reporter.record))
        query = job.start(spark, kafka, options, specs)
        log.info(
            "stream started",
            input=options.input_pattern or list(options.input_topics),
            output=options.output_topic,
            dead_letters=options.dead_letter_topic,
            group=options.group_id,
            checkpoint=options.checkpoint_location,
            models=[spec.id for spec in specs],
        )
        asked = lifecycle.run(query, lambda: by_signal() or by_marker(), options.stop_timeout)
        if query.lastProgress:
            reporter.record(query.lastProgress.json)  # the listener may not have heard of it yet
        log.info("stream stopped", asked=asked)
    finally:
        reporter.close()


def _marker(checkpoint_location: str) -> Callable[[], bool]:
    """Return what tells, and acknowledges, that `tidemill stop` asks for an end."""
    try:
        marker = StopMarker.beside(checkpoint_location)
    except CheckpointUnsupported as error:
        log.warning(str(error))
        return lambda: False
    marker.was_left()  # one from before this start asks for nothing any more
    return marker.was_left


def batch(settings: Settings, source: str, target: str) -> files.Counts:
    """Answer every message of a file or folder.

    Raises:
        TidemillError: The input cannot be read, the output is there already, a model is broken.

    """
    specs = catalogue.read(settings.models)
    if Path(target).exists():  # on other file systems Spark sees to it
        raise OutputExists(target)
    with session.running(settings) as spark:
        return files.run(spark, specs, source, target, settings.kafka.max_request_size)
