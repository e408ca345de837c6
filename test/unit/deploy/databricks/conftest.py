from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from jobs_api import TOKEN, VARIABLES, Workspace, serving

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def variables() -> dict[str, str]:
    """The environment variables that a payload needs, and no others."""
    return dict(VARIABLES)


@pytest.fixture
def workspace() -> Iterator[Workspace]:
    """A local workspace that lists other people's jobs on several pages."""
    served = Workspace()
    for number in range(5):
        served.add_job(f"other-{number}")
    served.add_job("stage_ner", tasks=[])
    with serving(served):
        yield served


@pytest.fixture
def environ(variables: dict[str, str], workspace: Workspace) -> dict[str, str]:
    """The environment variables that a deployment to this workspace needs."""
    return variables | {"DATABRICKS_HOST": workspace.url, "DATABRICKS_API_TOKEN": TOKEN}
