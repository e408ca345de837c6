"""A transaction that hangs ends its worker."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from app.streaming import transaction
from app.streaming.position import Position

PROGRAM = """
import time
from app.streaming import transaction

transaction.HANGS_AFTER_S = 0.3
transaction.TaskContext.get = classmethod(lambda _: {context})
with transaction._ended_where_it_hangs():
    time.sleep({inside})
time.sleep(0.5)
"""


class TestHang:
    """librdkafka may wait for ever, where Python raises nothing."""

    @pytest.mark.parametrize(
        ("context", "inside", "code"),
        [("object()", 30, os.EX_UNAVAILABLE), ("object()", 0, 0), ("None", 0.6, 0)],
        ids=["hangs", "in time", "the driver"],
    )
    def test_ends(self, context: str, inside: float, code: int) -> None:
        """A worker that hangs ends, one that came through does not, nor does the driver."""
        program = PROGRAM.format(context=context, inside=inside)
        done = subprocess.run([sys.executable, "-c", program], timeout=20, check=False)
        assert done.returncode == code


class Group:
    """A group that says this, or fails."""

    def __init__(self, said: dict[tuple[str, int], Position] | KafkaError) -> None:
        self._said = said

    def settled(self, *_: object) -> dict[tuple[str, int], Position]:
        """Return it."""
        if isinstance(self._said, KafkaError):
            raise KafkaException(self._said)
        return self._said


class TestLook:
    """A look is cheap, and decides nothing where it fails."""

    @pytest.mark.parametrize(
        ("said", "offset"),
        [
            ({("in", 0): Position(7)}, 7),
            ({}, 0),
            (KafkaError(KafkaError._TIMED_OUT), 0),  # noqa: SLF001 - its public name
        ],
        ids=["an offset", "none", "no answer"],
    )
    def test_offset(self, said: Any, offset: int) -> None:  # noqa: ANN401
        """The group's, 0 where it has none or does not say: then a commit tells."""
        group: Any = Group(said)
        assert transaction._look(group, ("in", 0)) == offset  # noqa: SLF001
