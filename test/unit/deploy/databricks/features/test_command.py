"""The script that publishes features prints its plan, and sends it only if told to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from jobs_api import TOKEN

from deploy.databricks.features import __main__ as command
from deploy.databricks.features import publication

if TYPE_CHECKING:
    from features_api import FeatureWorkspace

FOLDER = Path(__file__).parents[5] / "deploy" / "databricks"
SCRIPT, EXAMPLE = FOLDER / "publish-features.sh", FOLDER / "features" / "example.yaml"


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the script with only the environment variables that are given and needed."""
    own = {"PATH": os.environ["PATH"], "PYTHON": sys.executable, "HOME": "/nowhere"}
    return subprocess.run(
        [str(SCRIPT), *arguments],
        env=own | environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


class TestOffline:
    """A dry run without a workspace."""

    def test_script(self) -> None:
        """It prints all requests as JSON, and needs neither login nor warehouse."""
        done = run(str(EXAMPLE), "--offline")
        assert (done.returncode, done.stderr) == (0, "")
        plan = json.loads(done.stdout)
        assert [request["what"] for request in plan][2:] == [
            "online store shop-features",
            "online table main.shop.customer_features_online",
            "online table main.shop.churn_predictions_online",
            "feature spec main.shop.customer_spec",
            "endpoint customer-features",
        ]
        assert plan[0]["warehouse_id"] == "${DATABRICKS_WAREHOUSE_ID}"

    def test_no_packages(self) -> None:
        """A Python without the packages is named, with what to install."""
        done = subprocess.run(
            [sys.executable, "-S", "-m", "deploy.databricks.features", str(EXAMPLE)],
            cwd=FOLDER.parents[1],
            env={},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert (done.returncode, done.stdout) == (1, "")
        assert (
            f"install databricks-sdk 0.161 or later and pydantic for {sys.executable}"
            in done.stderr
        )

    def test_one_mode(self) -> None:
        """It cannot be combined with --apply."""
        done = run(str(EXAMPLE), "--offline", "--apply")
        assert done.returncode == 2
        assert "not allowed with" in done.stderr


@pytest.mark.usefixtures("login")
class TestWorkspace:
    """With a workspace, the command reads it, and changes it only if asked to."""

    def test_dry_run_first(
        self,
        features_workspace: FeatureWorkspace,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """Without --apply nothing is sent; with it, what the dry run showed; then it is done."""
        features_workspace.looks = 0
        monkeypatch.setattr(publication, "POLL_S", 0)
        plans = []
        for options, writes in ([], 0), (["--dry-run"], 0), (["--apply"], 7), ([], 7):
            assert command.main([str(EXAMPLE), *options]) == 0
            plans.append(json.loads(capsys.readouterr().out))
            assert len(features_workspace.writes) == writes
        assert plans[0] == plans[1] == plans[2]
        assert [len(plan) for plan in plans] == [7, 7, 7, 0]

    def test_no_warehouse(
        self,
        features_workspace: FeatureWorkspace,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """Tables need a warehouse, which is named before anything is changed."""
        monkeypatch.delenv("DATABRICKS_WAREHOUSE_ID")
        assert command.main([str(EXAMPLE), "--apply"]) == 1
        assert "set DATABRICKS_WAREHOUSE_ID" in capsys.readouterr().err
        assert features_workspace.writes == []

    def test_wrong_token(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A refused token gives the API's message in one line, without the token."""
        monkeypatch.setenv("DATABRICKS_TOKEN", f"{TOKEN}-wrong")
        assert command.main([str(EXAMPLE)]) == 1
        said = capsys.readouterr().err
        assert said == (
            "publish-features.sh: cannot read the table main.shop.customer_features: "
            "PERMISSION_DENIED: Invalid access token\n"
        )

    def test_unencrypted(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A token is not sent unencrypted."""
        monkeypatch.setenv("DATABRICKS_HOST", "http://192.0.2.1")
        assert command.main([str(EXAMPLE)]) == 1
        assert "DATABRICKS_HOST must be" in capsys.readouterr().err


class TestLogin:
    """The login is the SDK's own."""

    def test_none(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """Without any, the message says how to log in, or to do without."""
        for name in [name for name in os.environ if name.startswith(("DATABRICKS_", "ARM_"))]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("HOME", str(tmp_path))
        assert command.main([str(EXAMPLE)]) == 1
        said = capsys.readouterr().err
        assert "set DATABRICKS_HOST and DATABRICKS_TOKEN" in said
        assert len(said.splitlines()) == 1
