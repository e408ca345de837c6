"""Check a configuration before the job runs."""

from __future__ import annotations

import textwrap
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import requests

from tidemill.background import in_background
from tidemill.dead_letters.replay import replay_group
from tidemill.errors import (
    BrokerUnreachable,
    GroupInUse,
    InvalidTopics,
    MetricsPortTaken,
    TidemillError,
)
from tidemill.inference.route import all_specs
from tidemill.kafka.failures import survey
from tidemill.kafka.members import require_none
from tidemill.kafka.topics import inputs
from tidemill.models import catalogue
from tidemill.models.trial import try_model
from tidemill.monitoring.gateway_requests import check_ready
from tidemill.monitoring.probe import ask
from tidemill.monitoring.reason import reason
from tidemill.monitoring.server import listen
from tidemill.spark.java import find_java
from tidemill.streaming import preflight
from tidemill.streaming.delivery import choose

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tidemill.inference.model import ModelSpec
    from tidemill.settings import KafkaSettings, MonitoringSettings, Settings, StreamSettings
    from tidemill.streaming.delivery import Delivery


# The limit for all checks of Kafka together, and for the Pushgateway, which is checked meanwhile.
TIMEOUT_S = 12.0
MAX_OUTPUT = 100  # characters of a sample's output
NO_PUSH = "note: metrics cannot be pushed"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One check's result. `error` is set if the job cannot run."""

    subject: str
    message: str
    error: TidemillError | None = None
    hint: str = ""


def check(settings: Settings) -> Iterator[CheckResult]:
    """Check Java, the models, the metrics port, the topics, the group and the Pushgateway."""
    try:
        yield CheckResult("java", find_java())
    except TidemillError as error:
        yield failed("java", error)
    try:
        for spec in all_specs(catalogue.load_models(settings.models)):
            yield _check_model(spec)
    except TidemillError as error:
        yield failed("models", error)
    if settings.monitoring.metrics_port is not None:
        yield _check_metrics_port(settings.monitoring, settings.stream.group_id)
    url = settings.monitoring.pushgateway_url
    # Check the Pushgateway in parallel with Kafka, so that both together take no longer than one.
    pushing = in_background(partial(_check_pushgateway, settings.monitoring)) if url else None
    deadline = time.monotonic() + TIMEOUT_S
    topics = _by_deadline(deadline, settings.kafka, lambda: list(_check_topics(settings)))
    yield from topics
    if not any(result.error for result in topics):
        yield from _by_deadline(deadline, settings.kafka, lambda: list(_check_groups(settings)))
    if pushing:
        try:
            yield pushing.result(max(0.0, deadline - time.monotonic()))
        except TimeoutError:
            yield CheckResult(f"pushgateway {url}", f"{NO_PUSH}: no answer within {TIMEOUT_S:g} s")


def failed(subject: str, error: TidemillError) -> CheckResult:
    """Return the result of a check that an error ended."""
    return CheckResult(subject, error.message, error, error.hint)


def _by_deadline(
    deadline: float, kafka: KafkaSettings, checks: Callable[[], list[CheckResult]]
) -> list[CheckResult]:
    """Return the results of checks of Kafka, or an error if they take too long."""
    try:
        return in_background(checks).result(max(0.0, deadline - time.monotonic()))
    except TimeoutError:
        error = BrokerUnreachable(
            kafka.bootstrap_servers, f"it did not finish within {TIMEOUT_S:g} s"
        )
        return [failed(f"kafka {kafka.bootstrap_servers}", error)]


def _check_groups(settings: Settings) -> Iterator[CheckResult]:
    stream = settings.stream
    delivery = choose(settings.kafka, stream)
    yield _check_offsets(stream, delivery)
    groups = [replay_group(stream)]
    if delivery.shares_group:  # otherwise `_check_offsets` reports members
        groups.insert(0, stream.group_id)
    for group in groups:
        try:
            require_none(settings.kafka, group)
        except GroupInUse as error:  # the job can run, but its lag cannot be seen
            yield CheckResult(f"group {group}", f"note: {error.message}", hint=error.hint)


def _check_metrics_port(monitoring: MonitoringSettings, group_id: str) -> CheckResult:
    host, port = monitoring.metrics_host, monitoring.metrics_port or 0
    subject = f"metrics {host}:{port}"
    try:
        listen(host, port).server_close()
    except MetricsPortTaken as error:
        try:
            ask(monitoring, group_id, "/healthz")
        except TidemillError:
            return failed(subject, error)
        return CheckResult(subject, f"note: the job of group {group_id} is running and uses it")
    except TidemillError as error:
        return failed(subject, error)
    return CheckResult(subject, "free")


def _check_offsets(stream: StreamSettings, delivery: Delivery) -> CheckResult:
    subject = f"group {stream.group_id}"
    try:
        plan = delivery.inspect()
    except TidemillError as error:
        return failed(subject, error)
    state = plan.state
    if state.offset_log.is_used:
        start = f"resumes from {stream.checkpoint_location}"
    elif plan.group_offsets:
        start = "no checkpoint yet, starts at the group's offsets"
    else:
        start = f"no checkpoint yet, starts at starting_offsets, {stream.starting_offsets}"
        if state.committed:
            start = f"note: {start}, although the group has committed offsets"
    removed = ", ".join(sorted({topic for topic, _ in plan.changes.removed}))
    without = f", without {removed}, whose messages are all processed" if removed else ""
    return CheckResult(subject, f"{stream.delivery}: {start}{without}")


def _check_pushgateway(monitoring: MonitoringSettings) -> CheckResult:
    subject = f"pushgateway {monitoring.pushgateway_url}"
    try:
        check_ready(monitoring)
    except requests.RequestException as error:  # the job can run without it
        return CheckResult(subject, f"{NO_PUSH}: {reason(error)}")
    return CheckResult(subject, "reachable")


def _check_model(spec: ModelSpec) -> CheckResult:
    try:
        trial = try_model(spec)
    except TidemillError as error:
        return failed(f"model {spec.id}", error)
    times = f"loaded in {trial.load_seconds:.1f} s, sample in {1000 * trial.sample_seconds:.0f} ms"
    return CheckResult(f"model {spec.id}", f"{times}: {textwrap.shorten(trial.output, MAX_OUTPUT)}")


def _check_topics(settings: Settings) -> Iterator[CheckResult]:
    kafka, stream = settings.kafka, settings.stream
    subject = f"kafka {kafka.bootstrap_servers}"
    try:
        topics = preflight.describe(kafka, stream)
        if unreachable := survey(kafka):
            raise unreachable
    except TidemillError as error:
        yield failed(subject, error)
        return
    yield CheckResult(subject, "reachable")
    problems = list(preflight.problems(topics, kafka, stream))
    for problem in problems:
        yield CheckResult("topics", problem.text, InvalidTopics([problem]), problem.remedy)
    for warning in preflight.warnings(topics, kafka, stream):
        yield CheckResult("topics", f"note: {warning}")
    if not problems:
        sources = inputs(topics, stream)
        count = sum(topics[name].partitions for name in sources)
        yield CheckResult(
            "topics",
            f"{', '.join(sources)} ({count} partitions) -> {stream.output_topic}, "
            f"{stream.dead_letter_topic}",
        )
