"""Name the extra of the package that a missing import belongs to."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tidemill.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Iterator

# The modules of each extra in pyproject.toml that the package imports.
MODULES = {
    "schemas": ("jsonschema_rs",),
    "stream": (
        "confluent_kafka",
        "kafka",
        "pandas",
        "prometheus_client",
        "py4j",
        "pyarrow",
        "pyspark",
        "requests",
    ),
    "batch": ("pyarrow",),
    "delta": ("deltalake", "pyarrow"),
    "onnx": ("numpy", "onnx", "onnxruntime"),
    "sklearn": ("joblib", "numpy", "pandas", "sklearn", "skops"),
    "mlflow": ("mlflow", "numpy", "pandas"),
    "serve": (
        "google",
        "grpc",
        "grpc_health",
        "grpc_reflection",
        "httptools",
        "limits",
        "prometheus_client",
        "starlette",
        "uvicorn",
        "uvloop",
    ),
    "forecast": ("holidays", "numpy", "pandas"),
    "packing": ("blosc2", "brotli", "prophet", "zstandard"),
    # For the server's request log; the extra `stream` has them, too.
    "kafka": ("confluent_kafka", "kafka", "requests"),
    "client": ("aiohttp", "google", "grpc"),
    "store": ("psycopg", "sqlalchemy"),
    "spacy": ("spacy",),
    "traces": ("opentelemetry",),
    "testing": ("hypothesis", "pytest"),
    # The SDK brings requests, which other extras have, too.
    "databricks": ("databricks", "requests"),
}


@contextmanager
def required(preferred: str | None = None) -> Iterator[None]:
    """Turn the failed import of an extra's module into an error that names the extra.

    If several extras have the module, the error names the preferred one.

    Raises:
        MissingExtra: A module of an extra is not installed.

    """
    try:
        yield
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        for extra in sorted(MODULES, key=lambda extra: extra != preferred):
            if module in MODULES[extra]:
                raise MissingExtra(extra, module) from error
        raise
