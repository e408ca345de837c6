"""A running job processes the messages of new partitions."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import pytest

from dev.kafka.topics import add_partitions
from faults import scenario

if TYPE_CHECKING:
    from dev.pipeline.pipeline import Pipeline


class TestNewPartitions:
    """New partitions need no restart."""

    @pytest.mark.parametrize("delivery", scenario.BOTH)
    def test_messages_at_once(self, pipeline: Pipeline, delivery: str) -> None:
        """Messages sent to new partitions before the job discovers them are processed."""
        pipeline.produce(*islice(scenario.messages(), 20))
        with pipeline.program(pipeline.environment("Upper", STREAM__DELIVERY=delivery)) as program:
            scenario.wait_for_all(pipeline, program)
            add_partitions(pipeline.broker.bootstrap_servers, pipeline.source, 5)
            pipeline.produce(
                *(
                    {**record, "partition": number % 5}
                    for number, record in enumerate(islice(scenario.messages(), 20))
                )
            )
            scenario.wait_for_all(pipeline, program)
            scenario.end(program)
        scenario.check(pipeline, delivery)
        assert pipeline.committed()[1] <= 5  # transaction markers, with exactly-once
