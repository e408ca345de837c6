"""The README's example is true."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tidemill.inference.message import Message, Prediction
from tidemill.inference.predictor import Predictor
from tidemill.models import catalogue

if TYPE_CHECKING:
    import pytest

README = Path(__file__).parents[2] / "README.md"


def blocks(language: str) -> list[str]:
    """Return the code blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


class TestModelExample:
    """The model, the entry, the message and the result that the README shows belong together."""

    def test_the_result_is_what_is_shown(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The example's class and entry turn its message into its result."""
        (tmp_path / "sentiment.py").write_text(blocks("python")[0])
        (tmp_path / "models.yaml").write_text(blocks("yaml")[0])
        monkeypatch.syspath_prepend(str(tmp_path))
        message, result = (json.loads(block) for block in blocks("json")[:2])
        predictor = Predictor(
            catalogue.load_models(tmp_path / "models.yaml"), catalogue.load, clock=time.time
        )
        (outcome,) = predictor.predict([Message(json.dumps(message).encode())])
        assert isinstance(outcome, Prediction)
        times = {"ts_start": "", "ts_end": "", "process_time": 0}
        assert json.loads(outcome.value) | times == result | times
