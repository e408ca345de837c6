"""Say what is right and wrong with a configuration, in plain words, before anything runs."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import requests
import structlog

from app.errors import TidemillError, TopicsUnfit
from app.inference.predictor import probe
from app.models import catalogue
from app.monitoring.pushgateway import greet
from app.monitoring.reason import reason
from app.streaming import preflight, takeover
from app.streaming.group import Group
from app.streaming.java import find_java

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.inference.model import ModelSpec
    from app.settings import MonitoringSettings, Settings

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, and what was found; `error` where the job could not run like this."""

    subject: str
    said: str
    error: TidemillError | None = None


def check(settings: Settings) -> Iterator[Finding]:
    """Look at Java, the models and the topics; each problem is one finding."""
    try:
        yield Finding("java", find_java())
    except TidemillError as error:
        yield Finding("java", str(error), error)
    try:
        for spec in catalogue.read(settings.models):
            yield _model(spec)
    except TidemillError as error:
        yield Finding("models", str(error), error)
    topics = list(_topics(settings))
    yield from topics
    if not any(finding.error for finding in topics):
        yield _offsets(settings)
    if settings.monitoring.pushgateway_url:
        yield _pushgateway(settings.monitoring)


def _offsets(settings: Settings) -> Finding:
    stream = settings.stream
    subject = f"group {stream.group_id}"
    try:
        with Group(settings.kafka, stream.group_id) as group:
            found, _ = takeover.examine(settings.kafka, stream, group)
    except TidemillError as error:
        return Finding(subject, str(error), error)
    carried = found.runs or (stream.delivery == "exactly-once" and found.positions)
    at = "the group's offsets" if carried else f"starting_offsets, {stream.starting_offsets}"
    begins = f"goes on with {stream.checkpoint_location}" if found.used else f"starts at {at}"
    return Finding(subject, f"{stream.delivery}: {begins}")


def _pushgateway(monitoring: MonitoringSettings) -> Finding:
    subject = f"pushgateway {monitoring.pushgateway_url}"
    try:
        greet(monitoring)
    except requests.RequestException as error:  # the job runs without it
        return Finding(subject, f"note: nothing can be pushed: {reason(error)}")
    return Finding(subject, "answers")


def _model(spec: ModelSpec) -> Finding:
    try:
        start = time.perf_counter()
        model = catalogue.load(spec)
        loaded = time.perf_counter()
        output = probe(spec, model)
        answered = time.perf_counter()
    except TidemillError as error:
        log.debug("the model's traceback", model=spec.id, exc_info=error)
        return Finding(f"model {spec.id}", str(error), error)
    said = f"loaded in {loaded - start:.1f} s, sample in {1000 * (answered - loaded):.0f} ms"
    return Finding(f"model {spec.id}", f"{said}: {output}")


def _topics(settings: Settings) -> Iterator[Finding]:
    subject = f"kafka {settings.kafka.bootstrap_servers}"
    try:
        topics = preflight.describe(settings.kafka, settings.stream)
    except TidemillError as error:
        yield Finding(subject, str(error), error)
        return
    yield Finding(subject, "answers")
    found = list(preflight.problems(topics, settings.kafka, settings.stream))
    for problem in found:
        yield Finding("topics", problem, TopicsUnfit([problem]))
    for warning in preflight.warnings(topics, settings.stream):
        yield Finding("topics", f"note: {warning}")
    if not found:
        sources = preflight.inputs(topics, settings.stream)
        count = sum(topics[name].partitions for name in sources)
        yield Finding(
            "topics",
            f"{', '.join(sources)} ({count} partitions) -> {settings.stream.output_topic}, "
            f"{settings.stream.dead_letter_topic}",
        )
