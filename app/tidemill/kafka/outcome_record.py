"""Choose the record of an outcome that its topic accepts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.inference.headers import error_headers, omitted_header, source_headers
from tidemill.inference.message import Failure, OutcomeRecord, Prediction
from tidemill.kafka.record_size import record_size_upper_bound

if TYPE_CHECKING:
    from tidemill.inference.message import Message, Outcome
    from tidemill.kafka.record_size import TopicLimits


def outcome_record(
    message: Message, outcome: Outcome, results: TopicLimits, dead_letters: TopicLimits
) -> OutcomeRecord:
    """Return the record of an outcome.

    A result that its topic refuses becomes a dead letter. A dead letter that its topic refuses
    keeps only the headers that say where the message is, and why it failed.
    """
    added = source_headers(message, outcome)
    if isinstance(outcome, Prediction):
        headers = [*message.headers, *added]
        refusal = results.refusal(message.key, outcome.value, headers)
        if refusal is None:
            return OutcomeRecord(outcome, message.key, outcome.value, headers)
        outcome = Failure(refusal, outcome.model, outcome.assignment)
    added += error_headers(outcome)
    headers = [*message.headers, *added]
    if dead_letters.refusal(message.key, message.value, headers) is None:
        return OutcomeRecord(outcome, message.key, message.value, headers)
    size = record_size_upper_bound(message.key, message.value, message.headers)
    return OutcomeRecord(outcome, None, None, [*added, omitted_header(size)])
