"""Run the models on lines of JSON in this process, without Spark or Kafka."""

from __future__ import annotations

import base64
import time
from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from tidemill.inference.headers import encode_headers
from tidemill.inference.message import Failure, Message, Prediction
from tidemill.inference.predictor import Predictor
from tidemill.models.isolation import policy

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import BinaryIO

    from tidemill.inference.model import ModelLoader, ModelSpec

READ_BYTES = 1024 * 1024
LINE = "tidemill.source.line"  # as in a batch


def predict(
    specs: Sequence[ModelSpec],
    source: BinaryIO,
    results: BinaryIO,
    dead_letters: BinaryIO,
    *,
    load: ModelLoader | None = None,
) -> Counter[str]:
    """Write one result or one dead letter for each line that is not blank; return their counts.

    The lines that have arrived are processed together, and their outcomes written at once, so that
    a program at the other end of a pipe need not wait. A dead letter is an object with the line and
    the headers that it would have on a topic.

    Raises:
        ModelUnavailable, ModelMisconfigured, ModelLoadFailed: A model is down. Its line and those
            after it have no outcome.

    """
    predictor = Predictor(specs, load or policy.loader(), clock=time.time)
    counts: Counter[str] = Counter()
    number = 0
    for lines in arrived_lines(source):
        numbered = [(n, line) for n, line in enumerate(lines, number + 1) if line.strip()]
        number += len(lines)
        messages = [Message(line, headers=((LINE, b"%d" % n),)) for n, line in numbered]
        for message, outcome in zip(messages, predictor.predict(messages), strict=True):
            if isinstance(outcome, Prediction):
                results.write(outcome.value + b"\n")
            else:
                dead_letters.write(encode_dead_letter(message, outcome) + b"\n")
            counts[type(outcome).__name__] += 1
        results.flush()
        dead_letters.flush()
    return counts


def arrived_lines(source: BinaryIO) -> Iterator[list[bytes]]:
    """Yield the complete lines that have arrived, as soon as there are any."""
    rest: list[bytes] = []  # of a line that has not arrived whole
    while chunk := source.read1(READ_BYTES):  # type: ignore[attr-defined]
        *lines, end = chunk.split(b"\n")
        if lines:
            lines[0] = b"".join((*rest, lines[0]))
            rest.clear()
            yield lines
        rest.append(end)
    if last := b"".join(rest):
        yield [last]


def encode_dead_letter(message: Message, failure: Failure) -> bytes:
    """Return a dead letter as JSON: value (or value_base64 if it is not UTF-8) and headers."""
    value = message.value or b""
    try:
        letter: dict[str, object] = {"value": value.decode()}
    except UnicodeDecodeError:
        letter = {"value_base64": base64.b64encode(value).decode()}
    headers = encode_headers(message, failure)
    letter["headers"] = {name: (content or b"").decode() for name, content in headers}
    return msgspec.json.encode(letter)
