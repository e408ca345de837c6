"""The choice between a pool and a child process."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from tidemill.models.isolation.supervised import SupervisedRunner
from tidemill.models.pool import runner as runners
from tidemill.models.pool.client import PooledRunner
from tidemill.settings import PoolSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tidemill.inference.model import ModelSpec

    MakeSpec = Callable[..., ModelSpec]


@pytest.fixture
def spec(make_spec: MakeSpec, root: Path, monkeypatch: pytest.MonkeyPatch) -> ModelSpec:
    """Return an entry that no other test has: a runner is made once, and a failure remembered."""
    monkeypatch.setattr(runners, "_last_failure", -runners.RETRY_S)
    return make_spec(name=f"m{root.name}", adapter="obedient_model:Obedient")


def test_once(spec: ModelSpec) -> None:
    """A process makes one runner for the same entries, settings and owner."""
    first = runners.runner([spec], PoolSettings(), os.getpid())
    assert isinstance(first, PooledRunner)
    assert runners.runner([spec], PoolSettings(), os.getpid()) is first
    assert runners.runner([spec], PoolSettings(max_slice=9), os.getpid()) is not first


def test_text_is_kept(spec: ModelSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    """The text of the same tuple of entries, which may be long, is made once."""
    made: list[object] = []

    def note(value: object) -> str:
        made.append(value)
        return repr(value)

    monkeypatch.setattr(runners, "repr", note, raising=False)
    specs = (spec,)
    first = runners.runner(specs, PoolSettings(), os.getpid())
    assert runners.runner(specs, PoolSettings(), os.getpid()) is first
    assert runners.runner((spec,), PoolSettings(), os.getpid()) is first
    assert made.count(specs) == 2


def refuse(spec: ModelSpec, caplog: pytest.LogCaptureFixture) -> str:
    """Return the warning about a pool that cannot be made; check that models still answer."""
    runner = runners.runner([spec], PoolSettings(), os.getpid())
    assert isinstance(runner, SupervisedRunner)
    ((output,),) = runner.run(spec, ["a"])
    assert isinstance(output.result, str)
    assert json.loads(output.result)[0] != os.getpid()
    assert runners.runner([spec], PoolSettings(), os.getpid()) is runner
    (record,) = caplog.records
    return record.getMessage()


def test_folder_of_others(spec: ModelSpec, pools: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A folder that others may write to is not used."""
    pools.mkdir(mode=0o777)
    pools.chmod(0o777)
    assert "only its owner can use" in refuse(spec, caplog)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_folder_of_another(spec: ModelSpec, pools: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A folder that another user owns is not used."""
    pools.mkdir(mode=0o700)
    os.chown(pools, 65534, -1)
    assert "only its owner can use" in refuse(spec, caplog)


def test_link(spec: ModelSpec, pools: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A link to a folder is not used: another user may have made it."""
    pools.symlink_to(pools.parent)
    assert "only its owner can use" in refuse(spec, caplog)


def test_no_pidfd(
    spec: ModelSpec, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Without pidfds (Linux before 5.3, other systems) there is no pool."""
    monkeypatch.setattr(runners, "PoolAddress", lambda *_, **__: os.no_such_function)  # type: ignore[attr-defined]
    assert "one of its own" in refuse(spec, caplog)
