"""What is odd about a request never fails it in the request log."""

from __future__ import annotations

from specs import make_spec

from tidemill.inference.route import single_routes
from tidemill.serving.catalogue import Target
from tidemill.serving.request_log import RequestLog
from tidemill.serving.service import Answer, Choice
from tidemill.settings import KafkaSettings, ServingSettings

# Somewhere among these, JSON can still be decoded, but no longer be copied.
DEPTHS = range(500, 1001)


def test_deep_id() -> None:
    """However deeply an id is nested, the request does not fail."""
    spec = make_spec(is_text=False, payload=None, match={}, id_field="uuid")
    (route,) = single_routes([spec])
    texts = [f'{{"uuid": {"[" * depth}{"]" * depth}}}' for depth in DEPTHS]
    answers = [Answer("1", Choice(spec), (0.0, 1.0))] * len(texts)
    dropped: list[int] = []
    log = RequestLog(
        KafkaSettings(bootstrap_servers="127.0.0.1:1"),
        ServingSettings(request_topic="asked", result_topic="answered"),
        lambda: dropped.append(1),
    )
    log.write(Target(route), texts, None, answers)
    log.close()
    assert len(dropped) == len(texts)  # there is no broker
