"""Trace requests with OpenTelemetry, if the settings say so."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tidemill import extras

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tidemill.settings.serving import ServingSettings


class Tracing:
    """Spans of requests; they continue the trace that a client's `traceparent` names (W3C).

    The variables `OTEL_…` of OpenTelemetry say where they go.
    """

    def __init__(self, settings: ServingSettings) -> None:
        """Set up OpenTelemetry, unless traces are off.

        Raises:
            MissingExtra: It is not installed.

        """
        self._tracer: Any = None
        if not settings.traces:
            return
        with extras.required():
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - only now
                OTLPSpanExporter,
            )
            from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
            from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
            from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        resource = Resource.create({"service.name": "tidemill"})  # OTEL_SERVICE_NAME wins
        self._provider = TracerProvider(resource=resource)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("tidemill")

    @contextmanager
    def span(self, name: str, headers: Mapping[str, str]) -> Iterator[Any]:
        """Yield a span, or None if traces are off."""
        if self._tracer is None:
            yield None
            return
        from opentelemetry.propagate import extract  # noqa: PLC0415
        from opentelemetry.trace import SpanKind  # noqa: PLC0415

        context = extract(dict(headers))
        with self._tracer.start_as_current_span(
            name,
            context,
            SpanKind.SERVER,
            record_exception=False,  # its text may quote an input
            set_status_on_exception=False,
        ) as span:
            yield span

    def close(self) -> None:
        """Send the spans that wait."""
        if self._tracer is not None:
            self._provider.shutdown()
