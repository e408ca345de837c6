from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from app import logs
from app.check import Finding, check
from app.errors import InvalidModels, JavaMissing, ModelNotLoadable, ModelUnavailable
from app.models import catalogue
from app.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

MODULE = """
class Works:
    def predict_all(self, inputs):
        return ['{ "said": "%s" }' % text for text in inputs]

class Away:
    def predict_all(self, inputs):
        raise ConnectionError("away")
"""
MODELS = "models:" + "".join(
    f"""
  - name: {name}
    version: "1"
    adapter: checked_models:{adapter}
    match: {{which: {name}}}
    sample: hi
    result: out
"""
    for name, adapter in {"works": "Works", "away": "Away", "none": "None_"}.items()
)


@pytest.fixture
def findings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Finding]:
    """Return what is found before the broker is asked: Java is not there, one model works."""
    (tmp_path / "checked_models.py").write_text(MODULE, "utf-8")
    (tmp_path / "models.yaml").write_text(MODELS, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(catalogue, "_loaded", {})
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    return list(itertools.islice(check(Settings(models=tmp_path / "models.yaml")), 4))


class TestFindings:
    """Every part is looked at, also after one that is wrong."""

    def test_java(self, findings: list[Finding]) -> None:
        """A missing Java is told with what to install."""
        assert findings[0].subject == "java"
        assert isinstance(findings[0].error, JavaMissing)
        assert "install" in findings[0].said

    def test_working_model(self, findings: list[Finding]) -> None:
        """A model that works shows its answer to the sample, on one line."""
        assert findings[1].subject == "model works:1"
        assert findings[1].error is None
        assert findings[1].said.endswith('{"said":"hi"}')

    def test_broken_models(self, findings: list[Finding]) -> None:
        """One that fails on its sample and one that does not load are told apart."""
        assert isinstance(findings[2].error, ModelUnavailable)
        assert "away" in findings[2].said
        assert isinstance(findings[3].error, ModelNotLoadable)
        assert "None_" in findings[3].said

    @pytest.mark.parametrize(("level", "shown"), [("DEBUG", True), ("INFO", False)])
    def test_tracebacks(
        self,
        level: str,
        shown: bool,
        request: pytest.FixtureRequest,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """At level DEBUG the log shows where a sample or a constructor failed."""
        logs.configure("console", level)
        request.getfixturevalue("findings")
        printed = capsys.readouterr().err
        assert ("checked_models.py" in printed) == ("in predict_all" in printed) == shown
        assert ("has no attribute 'None_'" in printed) == shown

    def test_broken_file(self, tmp_path: Path) -> None:
        """A models' file that cannot be read is one finding."""
        (tmp_path / "models.yaml").write_text("models: []", "utf-8")
        _, finding = itertools.islice(check(Settings(models=tmp_path / "models.yaml")), 2)
        assert finding.subject == "models"
        assert isinstance(finding.error, InvalidModels)

    def test_said_in_words(self, findings: list[Finding]) -> None:
        """What is found is text, for any door to print."""
        for finding in findings:
            assert isinstance(finding.said, str)
