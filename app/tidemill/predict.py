"""Run the models on lines of JSON in this process, without Spark or Kafka."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from tidemill.inference.batch import probe
from tidemill.inference.engine import local_engine
from tidemill.inference.message import Message, Prediction
from tidemill.inference.predictor import Predictor
from tidemill.lines import arrived_lines, encode_dead_letter, is_blank
from tidemill.models import host

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import BinaryIO

    from tidemill.inference.engine import Engine
    from tidemill.inference.model import ModelLoader, ModelSpec
    from tidemill.inference.route import Route

# Lines that are processed together: few, so that results appear while a long input is read.
SLICE = 64
LINE = "tidemill.source.line"  # as in a batch


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
            if not is_blank(line)
        ]
        number += len(lines)
        for start in range(0, len(messages), size):
            yield messages[start : start + size]
