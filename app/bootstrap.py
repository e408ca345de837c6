"""The one wiring place: settings in, a running whole out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException

from app.batch import files
from app.errors import CheckpointUnsupported
from app.models import catalogue
from app.monitoring.listener import ProgressListener
from app.monitoring.offsets import GroupCommitter, KafkaOffsetsReporter
from app.streaming import job, lifecycle, preflight, session
from app.streaming.marker import StopMarker

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.settings import Settings

log = structlog.get_logger(__name__)


def stream(settings: Settings) -> None:
    """Run the streaming job until it ends or is asked to stop.

    Raises:
        TidemillError: It cannot start, or its query failed.

    """
    kafka, options = settings.kafka, settings.stream
    specs = catalogue.read(settings.models)
    for warning in preflight.check(kafka, options):
        log.warning(warning)
    spark = session.create(settings)
    by_signal = lifecycle.stop_on_signals()
    by_marker = _marker(options.checkpoint_location)
    committer = GroupCommitter(kafka, options.group_id)
    reporter = KafkaOffsetsReporter(committer).start()
    listener = ProgressListener(reporter.record)
    spark.streams.addListener(listener)
    try:
        query = job.start(spark, kafka, options, specs)
        log.info(
            "stream started",
            input=options.input_pattern or list(options.input_topics),
            output=options.output_topic,
            dead_letters=options.dead_letter_topic,
            group=options.group_id,
            models=[spec.id for spec in specs],
        )
        asked = lifecycle.run(query, lambda: by_signal() or by_marker(), options.stop_timeout)
        if query.lastProgress:
            reporter.record(query.lastProgress.json)
        log.info("stream stopped", asked=asked)
    except (PySparkException, Py4JError) as error:
        raise lifecycle.translate(error, options.checkpoint_location) from error
    finally:
        spark.streams.removeListener(listener)
        reporter.close()
        committer.close()
        spark.stop()


def _marker(checkpoint_location: str) -> Callable[[], bool]:
    """Return what tells, and acknowledges, that `tidemill stop` asks for an end."""
    try:
        marker = StopMarker.beside(checkpoint_location)
    except CheckpointUnsupported as error:
        log.warning(str(error))
        return lambda: False
    marker.take()  # one from before this start asks for nothing any more

    def asked() -> bool:
        if marker.is_there():
            marker.take()
            return True
        return False

    return asked


def batch(settings: Settings, source: str, target: str) -> files.Counts:
    """Answer every message of a file or folder.

    Raises:
        TidemillError: The input cannot be read, the output is there already, a model is broken.

    """
    specs = catalogue.read(settings.models)
    spark = session.create(settings)
    try:
        return files.run(spark, specs, source, target, settings.kafka.max_request_size)
    except (PySparkException, Py4JError) as error:
        raise lifecycle.translate(error, "") from error
    finally:
        spark.stop()
