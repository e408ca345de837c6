"""Tests of the access log when its reader is slow or gone."""

from __future__ import annotations

import fcntl
import json
import os
import select
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tidemill.serving.access_log import FLUSH_S, MAX_LINES, AccessLog

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Return the ends of a small pipe: for reading, and for writing."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    yield reader, writer
    for end in (reader, writer):
        with suppress(OSError):  # the test has closed it
            os.close(end)


def test_lines(pipe: tuple[int, int]) -> None:
    """Each request is a line, and closing writes all."""
    reader, writer = pipe
    log = AccessLog(writer)
    for number in range(3):
        log.write("http", f"GET /{number}", "200", 0.5, "::1")
    log.close()
    lines = [json.loads(line) for line in os.read(reader, 4096).splitlines()]
    assert [line["request"] for line in lines] == ["GET /0", "GET /1", "GET /2"]


def test_torn(pipe: tuple[int, int]) -> None:
    """If the reader of a pipe that does not block is slow, whole lines follow half a line."""
    reader, writer = pipe
    os.set_blocking(writer, False)
    log = AccessLog(writer)
    for _ in range(1000):
        log.write("http", "GET /early", "200", 0.5, "::1")
    while select.select([], [writer], [], 0)[1]:  # until the pipe is full
        time.sleep(FLUSH_S)
    content = b""
    while b"/late" not in content:  # which is lost if there is no room yet
        content += os.read(reader, 65536)
        log.write("http", "GET /late", "200", 0.5, "::1")
        time.sleep(2 * FLUSH_S)
    log.close()
    lines = content.splitlines()
    late = next(number for number, line in enumerate(lines) if b"/late" in line)
    assert json.loads(lines[late])["request"] == "GET /late"
    assert len(lines[late - 1]) < len(lines[late])


def test_nobody_reads(pipe: tuple[int, int]) -> None:
    """A full pipe holds up neither requests nor the end, and memory is bounded."""
    reader, writer = pipe
    log = AccessLog(writer)
    for _ in range(3 * MAX_LINES):
        log.write("http", "GET /", "200", 0.5, "::1")
    log.close()  # returns, although the thread waits
    os.set_blocking(reader, False)
    content, quiet = b"", 0
    while not content or quiet < 5:
        try:
            content += os.read(reader, 65536)
            quiet = 0
        except BlockingIOError:
            quiet += 1
            time.sleep(FLUSH_S)
    assert 0 < content.count(b"\n") < 3 * MAX_LINES


def test_reader_gone(pipe: tuple[int, int]) -> None:
    """A closed pipe fails nothing."""
    reader, writer = pipe
    os.close(reader)
    log = AccessLog(writer)
    log.write("http", "GET /", "200", 0.5, "::1")
    log.close()
