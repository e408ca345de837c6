"""Check which steps Drone's pipeline runs on which event."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml
from jobs_api import TOKEN, Workspace, serving

from tidemill import settings

ROOT = Path(__file__).parents[3]
PIPELINE: dict[str, Any] = yaml.safe_load((ROOT / ".drone.yml").read_text(encoding="utf-8"))
STEPS = {step["name"]: step for step in PIPELINE["steps"]}
SHA = "0123456789abcdef0123456789abcdef01234567"
# Drone's variables for an event.
BRANCH = {"event": "push", "branch": "feature/x", "ref": "refs/heads/feature/x"}
MAIN = {"event": "push", "branch": "main", "ref": "refs/heads/main"}
TAG = {"event": "tag", "branch": "main", "ref": "refs/tags/v1.2.0"}
PULL = {"event": "pull_request", "branch": "main", "ref": "refs/pull/7/head"}


def runs(conditions: dict[str, Any], event: dict[str, str]) -> bool:
    """Return whether all conditions match, by Drone's patterns."""
    for name, wanted in conditions.items():
        include = wanted.get("include", []) if isinstance(wanted, dict) else wanted
        exclude = wanted.get("exclude", []) if isinstance(wanted, dict) else []
        if any(fnmatch(event[name], pattern) for pattern in exclude):
            return False
        if include and not any(fnmatch(event[name], pattern) for pattern in include):
            return False
    return True


def steps_on(event: dict[str, str]) -> list[str]:
    """Return the names of the steps that an event runs, in order."""
    assert runs(PIPELINE["trigger"], event)
    return [name for name, step in STEPS.items() if runs(step.get("when", {}), event)]


def environment(name: str) -> dict[str, str]:
    """Return a step's environment, with Drone's variables filled in."""
    own = {"${DRONE_COMMIT_SHA:0:8}": SHA[:8], "${DRONE_TAG}": "v1.2.0"}
    secrets = {"databricks_host": "https://x", "databricks_api_token": TOKEN}
    found = {}
    for variable, value in STEPS[name]["environment"].items():
        text = secrets[value["from_secret"]] if isinstance(value, dict) else value
        for placeholder, replacement in own.items():
            text = text.replace(placeholder, replacement)
        found[variable] = text
    return found


def perform(command: str, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a step's command."""
    return subprocess.run(
        ["sh", "-c", command],
        env={"PATH": os.environ["PATH"], "PYTHON": sys.executable} | environ,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


class TestTriggers:
    """An event runs the tests, then the steps of its phase."""

    @pytest.mark.parametrize(
        ("event", "steps"),
        [
            (BRANCH, ["test", "build-dev"]),
            (MAIN, ["test", "build-stage", "upload-init-script-stage", "deploy-stage"]),
            (TAG, ["test", "build-prod", "upload-init-script-prod", "deploy-prod"]),
            (PULL, ["test"]),
        ],
        ids=["branch", "main", "tag", "pull request"],
    )
    def test_steps(self, event: dict[str, str], steps: list[str]) -> None:
        """Branches are built; main and tags are also deployed; pull requests are tested."""
        assert steps_on(event) == steps

    def test_all(self) -> None:
        """Every step belongs to an event that can occur."""
        assert {name for event in (BRANCH, MAIN, TAG, PULL) for name in steps_on(event)} == set(
            STEPS
        )


class TestBuild:
    """The image for Databricks is pushed to ECR."""

    @pytest.mark.parametrize(
        ("name", "tags"),
        [
            ("build-dev", [r"${DRONE_BRANCH//\//-}-${DRONE_COMMIT_SHA:0:8}"]),
            ("build-stage", ["stage", "main-${DRONE_COMMIT_SHA:0:8}"]),
            ("build-prod", ["latest", "${DRONE_TAG}"]),
        ],
    )
    def test_image(self, name: str, tags: list[str]) -> None:
        """It has the tags of its phase."""
        built = STEPS[name]["settings"]
        assert built["tags"] == tags
        assert built["build_args"] == ["BUILD_TARGET=databricks"]
        assert built["repo"].startswith(f"{built['registry']}/")

    @pytest.mark.parametrize("phase", ["stage", "prod"])
    def test_deployed(self, phase: str) -> None:
        """The deployment uses the image that was built, by a fixed tag."""
        built, variables = (
            STEPS[f"build-{phase}"]["settings"],
            STEPS[f"deploy-{phase}"]["environment"],
        )
        image = f"{variables['ECR_REGISTRY']}/{variables['IMAGE_NAME']}"
        assert image in [f"{built['repo']}:{tag}" for tag in built["tags"][1:]]


@pytest.mark.parametrize("phase", ["stage", "prod"])
class TestDeploy:
    """The deployment steps work with their own variables."""

    def test_twice(self, phase: str) -> None:
        """One job with the phase's name exists, with one run."""
        with serving(Workspace()) as workspace:
            environ = environment(f"deploy-{phase}") | {"DATABRICKS_HOST": workspace.url}
            for command in [c for c in STEPS[f"deploy-{phase}"]["commands"] if "deploy-job" in c]:
                done = perform(command, environ)
                assert done.returncode == 0, done.stderr
                assert TOKEN not in done.stdout + done.stderr
            (job,) = workspace.jobs.values()
            assert job["name"] == f"{phase.upper()}_TIDEMILL"
            assert len(workspace.active()) == 1

    def test_sdk(self, phase: str) -> None:
        """The SDK has the locked version."""
        install = STEPS[f"deploy-{phase}"]["commands"][0]
        done = perform(install.replace("pip install --quiet", "echo"), {})
        assert re.fullmatch(r"databricks-sdk==[\d.]+\n", done.stdout)

    def test_upload(self, phase: str, tmp_path: Path) -> None:
        """The init script is uploaded to the place that the job expects."""
        aws = tmp_path / "aws"
        aws.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
        aws.chmod(0o755)
        environ = environment(f"upload-init-script-{phase}")
        (command,) = STEPS[f"upload-init-script-{phase}"]["commands"]
        said = perform(command, environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}).stdout
        source, target = said.splitlines()[2:4]
        assert (ROOT / source).is_file()
        deployed = perform("deploy/databricks/deploy-job.sh --dry-run", environ).stdout
        (task,) = json.loads(deployed)["tasks"]
        assert task["new_cluster"]["init_scripts"][0]["s3"]["destination"] == target

    def test_settings(self, phase: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """The job accepts its settings."""
        for name, value in environment(f"deploy-{phase}").items():
            if name.startswith("TIDEMILL__"):
                monkeypatch.setenv(name, value)
        loaded = settings.load(ROOT / "config.yaml")
        assert loaded.stream.checkpoint_location.startswith("s3://")
        assert loaded.kafka.sasl_password is not None
