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
    """Use a logger that no other test has configured."""
    monkeypatch.setattr(module, "log", structlog.get_logger("progress"))


class TestWithoutTerminal:
    """Without a terminal, steps are log lines."""

    def test_lines(self) -> None:
        """A new step is logged at once, the same step only after ten seconds and with progress."""
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
    """In a terminal, one line shows the current step."""

    def test_live(self) -> None:
        """Brackets are kept, and nothing is logged."""
        out = StringIO()
        console = Console(file=out, force_terminal=True, width=80)
        with capture_logs() as logs, progress(console) as show:
            show("reading [a]", tasks="3 of 8")
        assert "reading [a] … tasks: 3 of 8" in out.getvalue()
        assert logs == []
