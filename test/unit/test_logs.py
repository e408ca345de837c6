from __future__ import annotations

import json
import logging
from typing import Any

import pytest
import structlog

from tidemill import logs


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return the lines that were logged: to standard error, and nothing to standard output."""
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()


def fail() -> None:
    """Raise, with a cause."""
    try:
        next(iter([]))
    except StopIteration as error:
        raise ValueError("outer") from error


@pytest.fixture(params=["structlog", "logging"])
def logger(request: pytest.FixtureRequest) -> Any:  # noqa: ANN401 - one of two kinds
    """The two ways in: our own, and that of libraries."""
    if request.param == "logging":
        return logging.getLogger("some.library")
    return structlog.get_logger("some.library")


class TestJson:
    """For a machine each record is a line of JSON."""

    def test_fields(self, capsys: pytest.CaptureFixture[str], logger: Any) -> None:  # noqa: ANN401
        """Event, level, logger and time in UTC, whoever logs."""
        logs.configure("json", "INFO")
        logger.info("two\nlines")
        (line,) = lines(capsys)
        record = json.loads(line)
        assert (record["event"], record["level"]) == ("two\nlines", "info")
        assert record["logger"] == "some.library"
        assert record["timestamp"].endswith("Z")

    def test_values(self, capsys: pytest.CaptureFixture[str]) -> None:
        """What belongs to an event has fields of its own."""
        logs.configure("json", "INFO")
        structlog.get_logger().warning("seen", group="g", count=3)
        record = json.loads(lines(capsys)[0])
        assert (record["group"], record["count"]) == ("g", 3)

    def test_no_time_twice(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A second configuration replaces the first: nothing is logged twice."""
        logs.configure("console", "INFO")
        logs.configure("json", "INFO")
        structlog.get_logger().info("once")
        assert len(lines(capsys)) == 1


class TestConsole:
    """For a person each record is a readable line."""

    def test_line(self, capsys: pytest.CaptureFixture[str], logger: Any) -> None:  # noqa: ANN401
        """Without colours where no terminal is."""
        logs.configure("console", "INFO")
        logger.warning("mind the gap")
        (line,) = lines(capsys)
        assert "mind the gap" in line
        assert "warning" in line
        assert "\x1b" not in line


class TestLevel:
    """Less than the level is not logged."""

    @pytest.mark.parametrize(("level", "count"), [("DEBUG", 3), ("INFO", 2), ("ERROR", 1)])
    def test_level(
        self,
        capsys: pytest.CaptureFixture[str],
        logger: Any,  # noqa: ANN401 - one of two kinds
        level: str,
        count: int,
    ) -> None:
        """By both ways in."""
        logs.configure("json", level)
        logger.debug("a")
        logger.info("b")
        logger.error("c")
        assert len(lines(capsys)) == count

    @pytest.mark.parametrize(
        "name", ["kafka.client", "py4j.java_gateway", "urllib3.connectionpool"]
    )
    def test_noisy_libraries(self, capsys: pytest.CaptureFixture[str], name: str) -> None:
        """What libraries say of their own troubles comes back as one error of ours."""
        logs.configure("json", "INFO")
        logging.getLogger(name).error("noise")
        assert lines(capsys) == []

    @pytest.mark.parametrize("name", ["kafka.net.manager", "py4j", "urllib3"])
    def test_others_may_listen(self, capsys: pytest.CaptureFixture[str], name: str) -> None:
        """What is not printed can still be heard, from WARNING on."""
        heard: list[str] = []

        class Listener(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                heard.append(record.getMessage())

        logs.configure("json", "INFO")
        library = logging.getLogger(name)
        root, listener = logging.getLogger(name.partition(".")[0]), Listener()
        root.addHandler(listener)
        library.info("configuration")
        library.warning("Connection failed: x")
        root.removeHandler(listener)
        assert heard == ["Connection failed: x"]
        assert lines(capsys) == []

    @pytest.mark.parametrize(
        ("level", "path", "count"),
        [
            ("INFO", "/site-packages/py4j/clientserver.py", 0),
            ("DEBUG", "/site-packages/py4j/clientserver.py", 1),
            ("INFO", "/opt/job/main.py", 1),
        ],
    )
    def test_root_logger(
        self, capsys: pytest.CaptureFixture[str], level: str, path: str, count: int
    ) -> None:
        """What py4j writes to the root logger is its own; what others write there is not."""
        logs.configure("json", level)
        root = logging.getLogger()
        root.handle(root.makeRecord("root", logging.ERROR, path, 1, "lost", (), None))
        assert len(lines(capsys)) == count

    @pytest.mark.parametrize("name", ["kafkaesque", "app.kafka", "my.py4j"])
    def test_similar_names(self, capsys: pytest.CaptureFixture[str], name: str) -> None:
        """Only the libraries themselves are quiet."""
        logs.configure("json", "INFO")
        logging.getLogger(name).info("heard")
        assert len(lines(capsys)) == 1

    @pytest.mark.parametrize("name", ["kafka.net.manager", "py4j", "urllib3"])
    def test_libraries_at_debug(self, capsys: pytest.CaptureFixture[str], name: str) -> None:
        """At level DEBUG they are printed."""
        logs.configure("json", "DEBUG")
        logging.getLogger(name).warning("trouble")
        assert len(lines(capsys)) == 1

    def test_no_secrets_of_libraries(self, capsys: pytest.CaptureFixture[str]) -> None:
        """At level DEBUG too kafka-python may not print its configuration."""
        logs.configure("json", "DEBUG")
        logging.getLogger("kafka.client").debug("password=x")
        logging.getLogger("kafka.client").info("connected")
        assert len(lines(capsys)) == 1


class TestTrace:
    """A trace is for level DEBUG."""

    @pytest.mark.parametrize("log_format", ["console", "json"])
    def test_above_debug(
        self,
        capsys: pytest.CaptureFixture[str],
        logger: Any,  # noqa: ANN401 - one of two kinds
        log_format: str,
    ) -> None:
        """Above it a failure is one line."""
        logs.configure(log_format, "INFO")
        try:
            fail()
        except ValueError:
            logger.exception("failed")
        (line,) = lines(capsys)
        assert "failed" in line
        assert "Traceback" not in line

    @pytest.mark.parametrize("log_format", ["console", "json"])
    def test_at_debug(
        self,
        capsys: pytest.CaptureFixture[str],
        logger: Any,  # noqa: ANN401 - one of two kinds
        log_format: str,
    ) -> None:
        """There it is printed, with its causes."""
        logs.configure(log_format, "DEBUG")
        try:
            fail()
        except ValueError:
            logger.exception("failed")
        text = "\n".join(lines(capsys))
        assert "Traceback" in text
        assert "StopIteration" in text
        assert "ValueError: outer" in text
