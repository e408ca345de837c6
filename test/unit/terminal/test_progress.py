from __future__ import annotations

from io import StringIO

import pytest
import structlog
from rich.console import Console
from structlog.testing import capture_logs

from tidemill.terminal import progress as module
from tidemill.terminal.progress import progress


@pytest.fixture(autouse=True)
def _own_logger(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take a logger that no other test has used."""
    monkeypatch.setattr(module, "log", structlog.get_logger("progress"))


class TestWithoutTerminal:
    """Steps are log lines, now and then."""

    def test_lines(self) -> None:
        """A new step at once; the same step after ten seconds, if more of it is done."""
        now = 0.0
        with (
            capture_logs() as logs,
            progress(Console(file=StringIO()), clock=lambda: now) as show,
        ):
            show("starting")
            for second in range(25):
                now = float(second)
                show("answering", tasks=f"{second // 5} of 5")
            show("answering", tasks="4 of 5")
            show("writing")
        assert [(line["event"], line.get("tasks")) for line in logs] == [
            ("starting", None),
            ("answering", "0 of 5"),
            ("answering", "2 of 5"),
            ("answering", "4 of 5"),
            ("writing", None),
        ]


class TestTerminal:
    """One line shows the step that runs."""

    def test_live(self) -> None:
        """Brackets and all; nothing is logged."""
        out = StringIO()
        console = Console(file=out, force_terminal=True, width=80)
        with capture_logs() as logs, progress(console) as show:
            show("reading [a]", tasks="3 of 8")
        assert "reading [a] … tasks: 3 of 8" in out.getvalue()
        assert logs == []
