from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from jobs_api import TOKEN, VARIABLES, Workspace, serving

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def variables() -> dict[str, str]:
    """What a job's payload needs of the environment, and nothing else."""
    return dict(VARIABLES)


@pytest.fixture
def workspace() -> Iterator[Workspace]:
    """A workspace that is served on this machine, with jobs of others on several pages."""
    served = Workspace()
    for number in range(5):
        served.add_job(f"other-{number}")
    served.add_job("stage_ner", tasks=[])
    with serving(served):
        yield served


@pytest.fixture
def environ(variables: dict[str, str], workspace: Workspace) -> dict[str, str]:
    """What a deployment to it needs of the environment."""
    return variables | {"DATABRICKS_HOST": workspace.url, "DATABRICKS_API_TOKEN": TOKEN}
