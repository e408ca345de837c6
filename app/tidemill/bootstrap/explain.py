"""Wire `tidemill explain` to Kafka, and to a process for the model."""

from __future__ import annotations

import tempfile
from functools import partial
from typing import TYPE_CHECKING

from tidemill.bootstrap.features import opened
from tidemill.explain.explanation import explain
from tidemill.inference.route import all_specs
from tidemill.models.isolation import child, supervised
from tidemill.settings import StoreSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import BinaryIO

    from tidemill.explain.explanation import Explanation, Writer
    from tidemill.explain.origin import Origin
    from tidemill.inference.message import Message
    from tidemill.inference.route import Route
    from tidemill.settings import TopicsProgram


def read_record(
    settings: TopicsProgram, topic: str, partition: int, offset: int
) -> tuple[Message, Origin]:
    """Return the message at an offset; of a dead letter, the message that it holds.

    Raises:
        NoRecord: There is no record.
        MessageOmitted: The dead letter there does not hold its message.
        KafkaAuthFailed, BrokerUnreachable: Kafka does not answer.

    """
    # Only now, because files need no Kafka clients.
    from tidemill.dead_letters import letters  # noqa: PLC0415
    from tidemill.explain.messages import message_within  # noqa: PLC0415
    from tidemill.explain.origin import Origin  # noqa: PLC0415
    from tidemill.kafka.record_at import record_at  # noqa: PLC0415
    from tidemill.kafka.topics import is_input  # noqa: PLC0415

    message = record_at(settings.kafka, topic, partition, offset)
    place: dict[str, str | int] = {"topic": topic, "partition": partition, "offset": offset}
    origin = Origin(f"{topic}/{partition}/{offset}", place)
    # A dead letter that is an input is a message like any other.
    letter = None if is_input(settings.stream, topic) else letters.read(message)
    return (message, origin) if letter is None else message_within(letter, origin)


def topic_writer(settings: TopicsProgram) -> Writer:
    """Return what makes the records of outcomes as the job does: as its topics accept them.

    Raises:
        KafkaAuthFailed, BrokerUnreachable: Kafka does not answer.

    """
    from tidemill.kafka.outcome_record import outcome_record  # noqa: PLC0415
    from tidemill.kafka.record_size import ANY_RECORD  # noqa: PLC0415
    from tidemill.streaming import output_topics, preflight  # noqa: PLC0415

    topics = preflight.describe(settings.kafka, settings.stream)
    results, dead_letters = (
        topics[name].limits(settings.kafka.compression_type) if name in topics else ANY_RECORD
        for name in output_topics.names(settings.stream)
    )
    return lambda message, outcome: outcome_record(message, outcome, results, dead_letters)


def explain_isolated(
    routes: Sequence[Route],
    message: Message,
    origin: Origin,
    write: Writer,
    on_step: Callable[..., None],
    *,
    store: StoreSettings | None = None,
) -> Explanation:
    """Explain a message whose model runs in a process of its own, which may crash or hang."""
    with (
        tempfile.TemporaryFile() as stacks,
        supervised.loader(stacks) as load,
        opened(store or StoreSettings(), all_specs(routes)) as complete,
    ):
        return explain(
            routes,
            message,
            origin,
            load,
            complete=complete,
            write=write,
            read_stacks=partial(_take, stacks),
            on_step=on_step,
        )


def _take(stacks: BinaryIO) -> str:
    """Return the stacks in a file, without the frames that called the model, and empty it."""
    stacks.seek(0)
    lines = stacks.read().decode(errors="replace").splitlines()
    stacks.seek(0)
    stacks.truncate()
    return "\n".join(line for line in lines if f'"{child.__file__}"' not in line).strip()
