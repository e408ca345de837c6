"""Say what is right and wrong with a configuration, in plain words, before anything runs."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import requests
import structlog

from tidemill.background import in_background
from tidemill.dead_letters.replay import group_of
from tidemill.errors import (
    BrokerUnreachable,
    GroupInUse,
    InvalidTopics,
    MetricsPortTaken,
    TidemillError,
)
from tidemill.inference.predictor import probe
from tidemill.kafka.connect import survey
from tidemill.kafka.members import require_none
from tidemill.models import catalogue
from tidemill.monitoring.probe import ask
from tidemill.monitoring.pushgateway import greet
from tidemill.monitoring.reason import reason
from tidemill.monitoring.server import listen
from tidemill.spark.java import find_java
from tidemill.streaming import preflight, startup
from tidemill.streaming.exactly_once.group import Group

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tidemill.inference.model import ModelSpec
    from tidemill.settings import KafkaSettings, MonitoringSettings, Settings


# Seconds for all that is asked of Kafka, and as many for the Pushgateway at the same time.
PATIENCE_S = 12.0
NO_PUSH = "note: nothing can be pushed"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What was looked at, and what was found; `error` where the job could not run like this."""

    subject: str
    message: str
    error: TidemillError | None = None


def check(settings: Settings) -> Iterator[CheckResult]:
    """Look at Java, the models, the metrics' port and the topics; each problem is one finding."""
    try:
        yield CheckResult("java", find_java())
    except TidemillError as error:
        yield CheckResult("java", str(error), error)
    try:
        for spec in catalogue.read(settings.models):
            yield _model(spec)
    except TidemillError as error:
        yield CheckResult("models", str(error), error)
    if settings.monitoring.metrics_port is not None:
        yield _metrics(settings.monitoring, settings.stream.group_id)
    url = settings.monitoring.pushgateway_url
    # At the same time as Kafka, so that both together take no longer.
    pushing = in_background(partial(_pushgateway, settings.monitoring)) if url else None
    deadline = time.monotonic() + PATIENCE_S
    topics = _until(deadline, settings.kafka, lambda: list(_topics(settings)))
    yield from topics
    if not any(finding.error for finding in topics):
        yield from _until(deadline, settings.kafka, lambda: list(_groups(settings)))
    if pushing:
        try:
            yield pushing.result(max(0.0, deadline - time.monotonic()))
        except TimeoutError:
            yield CheckResult(f"pushgateway {url}", f"{NO_PUSH}: no answer within {PATIENCE_S:g} s")


def _until(
    deadline: float, kafka: KafkaSettings, look: Callable[[], list[CheckResult]]
) -> list[CheckResult]:
    """Return what a look at Kafka finds, or by the deadline that Kafka does not answer."""
    try:
        return in_background(look).result(max(0.0, deadline - time.monotonic()))
    except TimeoutError:
        error = BrokerUnreachable(
            kafka.bootstrap_servers, f"it did not finish within {PATIENCE_S:g} s"
        )
        return [CheckResult(f"kafka {kafka.bootstrap_servers}", str(error), error)]


def _groups(settings: Settings) -> Iterator[CheckResult]:
    yield _offsets(settings)
    stream = settings.stream
    groups = [group_of(stream)]
    if stream.delivery == "at-least-once":  # with the other, members are an error that is found
        groups.insert(0, stream.group_id)
    for group in groups:
        try:
            require_none(settings.kafka, group)
        except GroupInUse as error:  # the job runs, and nobody sees how far it is
            yield CheckResult(f"group {group}", f"note: {error}")


def _metrics(monitoring: MonitoringSettings, group_id: str) -> CheckResult:
    host, port = monitoring.metrics_host, monitoring.metrics_port or 0
    subject = f"metrics {host}:{port}"
    try:
        listen(host, port).server_close()
    except MetricsPortTaken as error:
        try:
            ask(monitoring, group_id, "/healthz")
        except TidemillError:
            return CheckResult(subject, str(error), error)
        return CheckResult(subject, f"note: the job of group {group_id} is running and serves them")
    except TidemillError as error:
        return CheckResult(subject, str(error), error)
    return CheckResult(subject, "free")


def _offsets(settings: Settings) -> CheckResult:
    stream = settings.stream
    subject = f"group {stream.group_id}"
    try:
        with Group(settings.kafka, stream.group_id) as group:
            plan = startup.examine(settings.kafka, stream, group)
    except TidemillError as error:
        return CheckResult(subject, str(error), error)
    found = plan.found
    carried = found.runs or (stream.delivery == "exactly-once" and found.positions)
    at = "the group's offsets" if carried else f"starting_offsets, {stream.starting_offsets}"
    begins = (
        f"goes on with {stream.checkpoint_location}" if found.log.is_used else f"starts at {at}"
    )
    left = sorted({topic for topic, _ in plan.changes.removed})
    without = f", without {', '.join(left)}, which it has answered" if left else ""
    return CheckResult(subject, f"{stream.delivery}: {begins}{without}")


def _pushgateway(monitoring: MonitoringSettings) -> CheckResult:
    subject = f"pushgateway {monitoring.pushgateway_url}"
    try:
        greet(monitoring)
    except requests.RequestException as error:  # the job runs without it
        return CheckResult(subject, f"{NO_PUSH}: {reason(error)}")
    return CheckResult(subject, "answers")


def _model(spec: ModelSpec) -> CheckResult:
    try:
        start = time.perf_counter()
        model = catalogue.load(spec)
        loaded = time.perf_counter()
        output = probe(spec, model)
        answered = time.perf_counter()
    except TidemillError as error:
        log.debug("the model's traceback", model=spec.id, exc_info=error)
        return CheckResult(f"model {spec.id}", str(error), error)
    said = f"loaded in {loaded - start:.1f} s, sample in {1000 * (answered - loaded):.0f} ms"
    return CheckResult(f"model {spec.id}", f"{said}: {output}")


def _topics(settings: Settings) -> Iterator[CheckResult]:
    subject = f"kafka {settings.kafka.bootstrap_servers}"
    try:
        topics = preflight.describe(settings.kafka, settings.stream)
        if astray := survey(settings.kafka):
            raise astray
    except TidemillError as error:
        yield CheckResult(subject, str(error), error)
        return
    yield CheckResult(subject, "answers")
    found = list(preflight.problems(topics, settings.kafka, settings.stream))
    for problem in found:
        yield CheckResult("topics", problem, InvalidTopics([problem]))
    for warning in preflight.warnings(topics, settings.kafka, settings.stream):
        yield CheckResult("topics", f"note: {warning}")
    if not found:
        sources = preflight.inputs(topics, settings.stream)
        count = sum(topics[name].partitions for name in sources)
        yield CheckResult(
            "topics",
            f"{', '.join(sources)} ({count} partitions) -> {settings.stream.output_topic}, "
            f"{settings.stream.dead_letter_topic}",
        )
