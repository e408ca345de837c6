"""A transaction that hangs ends its worker."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

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
