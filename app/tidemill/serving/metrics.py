"""Count requests and batches for Prometheus."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tidemill.inference.model import ModelSpec
    from tidemill.serving.service import Answer

MODEL = ("model", "version", "variant")
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class ServingMetrics:
    """The metrics of a server."""

    def __init__(self) -> None:
        """Create them in a registry of their own."""
        self.registry = registry = CollectorRegistry()
        self._requests = Counter(
            "tidemill_requests",
            "Requests by status: HTTP's number, or gRPC's name.",
            ("protocol", "status"),
            registry=registry,
        )
        self._seconds = Histogram(
            "tidemill_request_seconds",
            "From the request's headers to its response.",
            ("protocol",),
            buckets=SECONDS,
            registry=registry,
        )
        self._answers = Counter(
            "tidemill_answers", "Inputs that were predicted.", MODEL, registry=registry
        )
        self._errors = Counter(
            "tidemill_answer_errors",
            "Inputs that got an error instead.",
            ("error", *MODEL),
            registry=registry,
        )
        self._batch_size = Histogram(
            "tidemill_batch_size",
            "Inputs in one call of a model.",
            ("model", "version"),
            buckets=SIZES,
            registry=registry,
        )
        self._queue_seconds = Histogram(
            "tidemill_queue_seconds",
            "From an input's arrival to the start of its batch.",
            ("model", "version"),
            buckets=SECONDS,
            registry=registry,
        )
        self.features_seconds = Histogram(
            "tidemill_features_seconds",
            "From a request's inputs to the features that their entries look up.",
            buckets=SECONDS,
            registry=registry,
        )
        self.unlogged = Counter(
            "tidemill_request_log_dropped",
            "Records of the request log that were not written.",
            registry=registry,
        )

    def show_queues(self, specs: Iterable[ModelSpec], waiting: Callable[[str], int]) -> None:
        """Show how many inputs wait for each model, which `waiting` returns for an id."""
        gauge = Gauge(
            "tidemill_queue_length",
            "Inputs that wait for their batch.",
            ("model", "version"),
            registry=self.registry,
        )
        for spec in specs:
            gauge.labels(spec.name, spec.version).set_function(partial(waiting, spec.id))

    def batch_started(self, spec: ModelSpec, waited: Sequence[float]) -> None:
        """Note a batch, and the seconds that each of its inputs has waited."""
        self._batch_size.labels(spec.name, spec.version).observe(len(waited))
        queue = self._queue_seconds.labels(spec.name, spec.version)
        for seconds in waited:
            queue.observe(seconds)

    def request_ended(self, protocol: str, status: str, seconds: float) -> None:
        """Note a response."""
        self._requests.labels(protocol, status).inc()
        self._seconds.labels(protocol).observe(seconds)

    def answered(self, answers: Iterable[Answer]) -> None:
        """Note what each input got."""
        for answer in answers:
            result, choice = answer.result, answer.choice
            model = (
                ("", "", "")
                if choice is None
                else (
                    choice.spec.name,
                    choice.spec.version,
                    choice.assignment.variant if choice.assignment else "",
                )
            )
            if isinstance(result, str):
                self._answers.labels(*model).inc()
            else:
                self._errors.labels(type(result).__name__, *model).inc()
