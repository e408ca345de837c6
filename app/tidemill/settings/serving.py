"""The section `serving`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, ByteSize, Field, model_validator

from tidemill.settings.base import Section, read_null
from tidemill.settings.stream import Topic

Port = Annotated[int, Field(ge=0, le=65535)]
LOOPBACK = {"127.0.0.1", "::1", "localhost"}


class ServingSettings(Section):
    """What `tidemill serve` answers, and how much of it at a time.

    Attributes:
        host: The address to listen on. `0.0.0.0` lets other machines connect, as in a container.
        http_port: The port for HTTP. `0` takes any free port.
        grpc_port: The port for gRPC. `0` takes any free port, `null` serves no gRPC.
        max_batch_size: The most inputs in one call of a model. An entry's `limits.batch` may be
            lower.
        max_wait_ms: How long a batch waits for more inputs, in milliseconds.
        adaptive: Whether a batch starts as soon as a model process is free. If false, it waits
            until it is full or `max_wait_ms` has passed.
        max_queue: The most inputs that may wait for one model. Further requests are refused with
            status 429, and with the time after which to try again.
        max_items: The most inputs in one request.
        max_body: The longest body of a request; for that of a task, see `tasks.max_parameters`.
        timeout: How long a request may take, in seconds, unless its client allows less.
        header_timeout: How long a client may take to send a request's headers, in seconds.
        body_timeout: How long a client may take to send a request's body, in seconds.
        idle_timeout: How long a connection may stay open without a request, in seconds.
        max_requests: The most requests at a time. Further ones get status 503, but probes do not.
        drain_delay: How long to answer new requests after SIGTERM, in seconds, while `/readyz` says
            503, so that a proxy stops sending them before the server stops listening.
        drain_timeout: How long running requests may take after SIGTERM, in seconds.
        tables: The tables of the store whose rows clients may [look up](look-ups.md), by name; `*`
            stands for any text. By default none, and the store is not opened.
        run_tasks: Whether the server also runs [long tasks](tasks.md#over-http), if there are jobs.
            If false, `tidemill task work` runs them elsewhere.
        tokens: A file of tokens, one of which every request then needs. If null, everybody who can
            connect may use all models, tables and jobs.
        tls_certificate: The file of the certificate (PEM) with which to encrypt connections. If
            null, they are not encrypted.
        tls_key: The file of the certificate's key (PEM).
        access_log: Whether to log every request.
        request_topic: A topic for the inputs of all requests, as messages that a stream can read.
        result_topic: A topic for the results of these messages, as a stream writes them.
        dead_letter_topic: A topic for those that failed; by default `<result_topic>.dlq`.
        traces: Whether to trace every request with OpenTelemetry (extra `traces`), whose variables
            `OTEL_…` say where the traces go.

    """

    host: str = Field("127.0.0.1", min_length=1)
    http_port: Port = 8080
    grpc_port: Annotated[Port | None, BeforeValidator(read_null)] = 8081
    max_batch_size: int = Field(4, ge=1)
    max_wait_ms: float = Field(20, ge=0)
    adaptive: bool = True
    max_queue: int = Field(1000, ge=1)
    max_items: int = Field(1000, ge=1)
    max_body: ByteSize = Field(ByteSize(16 * 2**20), ge=1)
    timeout: float = Field(30, gt=0)
    header_timeout: float = Field(10, gt=0)
    body_timeout: float = Field(30, gt=0)
    idle_timeout: float = Field(60, gt=0)
    max_requests: int = Field(1000, ge=1)
    drain_delay: float = Field(0, ge=0)
    drain_timeout: float = Field(25, gt=0)
    tables: tuple[str, ...] = ()
    run_tasks: bool = True
    tokens: Path | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    access_log: bool = True
    request_topic: Topic | None = None
    result_topic: Topic | None = None
    dead_letter_topic: Topic | None = None
    traces: bool = False

    @property
    def is_local(self) -> bool:
        """Return whether only this machine can connect."""
        return self.host in LOOPBACK

    @property
    def tls(self) -> tuple[Path, Path] | None:
        """Return the files of the certificate and its key, if connections are encrypted."""
        if self.tls_certificate is None or self.tls_key is None:
            return None
        return self.tls_certificate, self.tls_key

    @model_validator(mode="before")
    @classmethod
    def _dead_letter_topic(cls, data: Any) -> Any:  # noqa: ANN401 - what a document may hold
        if isinstance(data, dict) and isinstance(data.get("result_topic"), str):
            return {"dead_letter_topic": f"{data['result_topic']}.dlq", **data}
        return data

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.max_items > self.max_queue:
            problem = f"max_items {self.max_items} exceeds max_queue {self.max_queue}"
            raise ValueError(f"{problem}: such a request could never be taken")
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key: set both or neither")
        if self.result_topic and not self.request_topic:
            raise ValueError("result_topic needs request_topic, whose records the results name")
        if self.dead_letter_topic and not self.result_topic:
            raise ValueError("dead_letter_topic needs result_topic")
        topics = [self.request_topic, self.result_topic, self.dead_letter_topic]
        named = [topic for topic in topics if topic]
        if len(set(named)) < len(named):
            raise ValueError("request_topic, result_topic and dead_letter_topic must differ")
        return self
