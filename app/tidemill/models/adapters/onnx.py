"""Predict with a model in ONNX, by onnxruntime."""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tidemill import extras
from tidemill.errors import UnusableEntry
from tidemill.models import outputs, tables
from tidemill.models.adapters import onnx_input
from tidemill.models.adapters.entry import artifact_file, check_columns, working_sample

# From version 1.29 on, importing onnxruntime would otherwise start a thread, open a database in the
# home folder, and report to Microsoft.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
with extras.required():
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CUDA = "CUDAExecutionProvider"
ERROR = 3  # onnxruntime's severity of errors
# Operators whose weights are quantized. The CPU has no convolution of int8 weights.
QUANTIZED = ["Attention", "EmbedLayerNormalization", "Gather", "Gemm", "LSTM", "MatMul"]


class Onnx:
    """Predict with an ONNX graph on one thread.

    If the graph has one input, an input is an array with the shape of one row, or a number if that
    has one element. If it has several, an input is an object with a field for each, by name.

    If the graph has several outputs and none is chosen, an output is an object of all of them, by
    name. An output of the shape [batch, 1] gives single values, not arrays of one value.
    """

    def __init__(
        self,
        artifact: str,
        *,
        device: str | None = None,
        quantize: str | None = None,
        output: str | None = None,
        columns: Sequence[str] = (),
    ) -> None:
        """Load the graph.

        Args:
            artifact: A file in ONNX.
            device: `cpu`, `cuda`, or None for the CPU.
            quantize: `int8` quantizes the weights when they are loaded; the file stays as it is.
            output: The name of the output to return.
            columns: The input's field for each feature, in order, if the graph has one input of
                features, or inputs with other names.

        Raises:
            UnusableEntry: The artifact is missing or no usable ONNX, there is no such device or
                output, or the columns do not suit the graph.

        """
        path = artifact_file(artifact, {".onnx"})
        if quantize not in {None, "int8"}:
            raise UnusableEntry(
                "options.quantize", f"{quantize} is not int8", "Use `quantize: int8`, or nothing."
            )
        with int8(path) if quantize else nullcontext(path) as file:
            self._session = _session(file, device)
        self._inputs = [onnx_input.Input.of(node) for node in self._session.get_inputs()]
        shapes = {node.name: node.shape for node in self._session.get_outputs()}
        if output is not None and output not in shapes:
            raise UnusableEntry(
                "options.output",
                f"the graph has no output {output}",
                f"Choose one of these: {', '.join(shapes)}.",
            )
        self._outputs = [output] if output else list(shapes)
        self._single = {name for name, shape in shapes.items() if list(shape[1:]) == [1]}
        self._columns = columns
        check_columns(columns, onnx_input.features(self._inputs))
        self.input_schema = onnx_input.schema(self._inputs, columns)
        self.sample = working_sample(self, onnx_input.zeros(self._inputs, columns))

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Return the graph's output for each input."""
        rows = tables.decode(inputs)
        if all(each.batch is None for each in self._inputs):
            return outputs.encode(self._run(rows))
        return outputs.encode([output for row in rows for output in self._run([row])])

    def _run(self, rows: list[Any]) -> list[Any]:
        tensors = onnx_input.tensors(self._inputs, rows, self._columns)
        values = [
            outputs.rows(value.reshape(-1) if name in self._single else value)
            for name, value in zip(
                self._outputs, self._session.run(self._outputs, tensors), strict=True
            )
        ]
        if len(values) == 1:
            return list(values[0])
        return [dict(zip(self._outputs, row, strict=True)) for row in zip(*values, strict=True)]


def _session(path: Path, device: str | None) -> Any:  # noqa: ANN401 - onnxruntime has no types
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = ERROR
    provider = CUDA if device == "cuda" else "CPUExecutionProvider"
    try:
        if provider in onnxruntime.get_available_providers():
            session = onnxruntime.InferenceSession(path, options, providers=[provider])
            if provider in session.get_providers():  # otherwise it has chosen the CPU
                return session
    except (errors.InvalidGraph, errors.InvalidProtobuf, errors.NotImplemented) as error:
        raise UnusableEntry(
            "artifact",
            f"onnxruntime cannot use {path.name}: {error}",
            "Check the file with onnx.checker, or export it for an older opset.",
        ) from error
    raise UnusableEntry(
        "device",
        "this onnxruntime cannot use CUDA",
        "Install onnxruntime-gpu in place of onnxruntime, with the CUDA that it needs, or remove "
        "the line `device: cuda` from the entry.",
    )


@contextmanager
def int8(path: Path) -> Iterator[Path]:
    """Yield a copy of a model with int8 weights, which is deleted afterwards."""
    with extras.required():
        from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: PLC0415 - imports onnx
    with TemporaryDirectory() as folder:
        file = Path(folder) / path.name
        root = logging.getLogger()
        root.addFilter(_is_error)
        try:
            quantize_dynamic(
                path, file, op_types_to_quantize=QUANTIZED, weight_type=QuantType.QInt8
            )
        finally:
            root.removeFilter(_is_error)
        yield file


def _is_error(record: logging.LogRecord) -> bool:
    """Tell whether a record is more than advice, of which quantization logs much."""
    return record.levelno > logging.WARNING
