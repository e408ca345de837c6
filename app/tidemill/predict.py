"""Run the models on lines of JSON in this process, without Spark or Kafka."""

from __future__ import annotations

import re
import time
from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from tidemill.inference.batch import probe
from tidemill.inference.engine import local_engine
from tidemill.inference.headers import encode_headers
from tidemill.inference.message import Failure, Message, Prediction
from tidemill.inference.predictor import Predictor
from tidemill.inference.readable import readable
from tidemill.models import host

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import BinaryIO

    from tidemill.inference.engine import Engine
    from tidemill.inference.model import ModelLoader, ModelSpec
    from tidemill.inference.route import Route

READ_BYTES = 1024 * 1024
# Lines that are processed together: few, so that results appear while a long input is read.
SLICE = 64
LINE = "tidemill.source.line"  # as in a batch
# A character outside Unicode's White_Space property: a batch skips the same lines as blank.
NOT_BLANK = re.compile(r"[^\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")


def load_models(specs: Sequence[ModelSpec], load: ModelLoader = host.load) -> None:
    """Load every model and run it on its sample, so that a wrong entry fails before any line.

    Raises:
        ModelUnavailable, ModelMisconfigured, ModelLoadFailed: A model does not work.

    """
    for spec in specs:
        probe(spec, load(spec))


def predict(
    routes: Sequence[Route],
    source: BinaryIO,
    results: BinaryIO,
    dead_letters: BinaryIO,
    *,
    load: ModelLoader = host.load,
    engine: Engine | None = None,
    at_once: int = SLICE,
    is_done: Callable[[Message], bool] = lambda _: False,
) -> Counter[str]:
    """Write one result or one dead letter for each line that is not blank; return their counts.

    The models run in this process, or in `engine`, which gets at most so many lines at once. Lines
    that are done are left out.

    The lines that have arrived are processed at once, so that a program at the other end of a pipe
    need not wait. A dead letter is an object with the line and the headers that it would have on a
    topic.

    Raises:
        ModelUnavailable, ModelMisconfigured, ModelLoadFailed: A model is down. Its line and those
            after it have no outcome.

    """
    predictor = Predictor(routes, engine or local_engine(load, clock=time.time))
    counts: Counter[str] = Counter()
    for part in slices(arrived_lines(source), at_once):
        messages = [message for message in part if not is_done(message)]
        predicted = []
        try:
            for message, outcome in zip(messages, predictor.outcomes(messages), strict=True):
                if isinstance(outcome, Prediction):
                    predicted.append(outcome.value + b"\n")
                else:
                    dead_letters.write(encode_dead_letter(message, outcome) + b"\n")
                counts[type(outcome).__name__] += 1
        finally:  # also the outcomes before an outage
            dead_letters.flush()  # first: they have their lines' numbers, see `resume`
            results.write(b"".join(predicted))
            results.flush()
    return counts


def slices(arrived: Iterable[list[bytes]], size: int = SLICE) -> Iterator[list[Message]]:
    """Yield the lines that are not blank as messages, with their numbers, a slice at a time."""
    number = 0
    for lines in arrived:
        messages = [
            Message(line, headers=((LINE, b"%d" % n),))
            for n, line in enumerate(lines, number + 1)
            if NOT_BLANK.search(line.decode(errors="replace"))
        ]
        number += len(lines)
        for start in range(0, len(messages), size):
            yield messages[start : start + size]


def arrived_lines(source: BinaryIO) -> Iterator[list[bytes]]:
    """Yield the complete lines that have arrived, without their ends, as soon as there are any.

    A line ends with a line feed, a carriage return, or both, as in a batch.
    """
    parts: list[bytes] = []  # of a line that may go on
    while chunk := source.read1(READ_BYTES):  # type: ignore[attr-defined]
        held = parts[-1] if parts else b""
        parts.append(chunk)
        if b"\n" in chunk or b"\r" in chunk or held.endswith(b"\r"):
            lines = b"".join(parts).splitlines(keepends=True)
            # A carriage return at the end may belong to a line feed that has not arrived.
            parts = [] if lines[-1].endswith(b"\n") else [lines.pop()]
            if lines:
                yield [without_end(line) for line in lines]
    if parts:
        yield [without_end(b"".join(parts))]


def without_end(line: bytes) -> bytes:
    """Return a line without the characters that end it."""
    return line.removesuffix(b"\n").removesuffix(b"\r")


def encode_dead_letter(message: Message, failure: Failure) -> bytes:
    """Return a dead letter as JSON: value (or value_base64 if it is not UTF-8) and headers."""
    letter: dict[str, object] = {**readable("value", message.value or b"")}
    headers = encode_headers(message, failure)
    letter["headers"] = {name: (content or b"").decode() for name, content in headers}
    return msgspec.json.encode(letter)
