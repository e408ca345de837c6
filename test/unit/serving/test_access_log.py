"""Tests of the access log when its reader is slow or gone."""

from __future__ import annotations

import fcntl
import json
import os
import time

import pytest

from tidemill.serving.access_log import CLOSE_S, MAX_LINES, AccessLog


@pytest.fixture
def pipe() -> tuple[int, int]:
    """Return the ends of a small pipe: for reading, and for writing."""
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
    return read, write


def test_lines(pipe: tuple[int, int]) -> None:
    """Each request is a line, and closing writes all."""
    reader, writer = pipe
    log = AccessLog(writer)
    for number in range(3):
        log.write("http", f"GET /{number}", "200", 0.5, "::1")
    log.close()
    lines = [json.loads(line) for line in os.read(reader, 4096).splitlines()]
    assert [line["request"] for line in lines] == ["GET /0", "GET /1", "GET /2"]
    os.close(reader)


def test_nobody_reads(pipe: tuple[int, int]) -> None:
    """A full pipe holds up neither requests nor the end, and memory is bounded."""
    reader, writer = pipe
    log = AccessLog(writer)
    start = time.monotonic()
    for _ in range(3 * MAX_LINES):
        log.write("http", "GET /", "200", 0.5, "::1")
    log.close()
    assert time.monotonic() - start < CLOSE_S + 30  # a busy machine; without a limit, for ever
    os.close(reader)  # the thread ends


def test_reader_gone(pipe: tuple[int, int]) -> None:
    """A closed pipe fails nothing."""
    reader, writer = pipe
    os.close(reader)
    log = AccessLog(writer)
    log.write("http", "GET /", "200", 0.5, "::1")
    log.close()
