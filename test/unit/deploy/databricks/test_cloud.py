from __future__ import annotations

from typing import Any

import pytest
from jobs_api import EVERYWHERE, ON_AZURE, ON_GCP, VARIABLES

from deploy.databricks.cloud import cloud_of
from deploy.databricks.errors import VariablesMissing, VariableWrong
from deploy.databricks.payload import fill_in

PLAIN = EVERYWHERE | {"IMAGE_NAME": "registry.example.com/tidemill:1", "INSTANCE_TYPE": "x"}
UNKNOWN = "DATABRICKS_HOST or DATABRICKS_CLOUD (aws, azure or gcp)"


def cluster(variables: dict[str, str]) -> dict[str, Any]:
    """Return the cluster that the variables describe."""
    (task,) = fill_in(variables)["tasks"]
    return dict(task["new_cluster"])


class TestWhich:
    """The variables determine the cloud."""

    @pytest.mark.parametrize(
        ("host", "cloud"),
        [
            ("https://adb-1.2.azuredatabricks.net", "azure"),
            ("adb-1.2.azuredatabricks.net/", "azure"),
            ("https://x.databricks.azure.us", "azure"),
            ("https://1.2.gcp.databricks.com/?o=1", "gcp"),
            ("https://dbc-1.cloud.databricks.com", "aws"),
            ("HTTPS://DBC-1.CLOUD.DATABRICKS.COM", "aws"),
            ("https://azuredatabricks.net.example.com", None),
            ("http://127.0.0.1:8080", None),
        ],
    )
    def test_host(self, host: str, cloud: str | None) -> None:
        """The workspace's host decides, even if other variables belong to another cloud."""
        assert cloud_of({"DATABRICKS_HOST": host}) == cloud
        if cloud:
            assert cloud_of(VARIABLES | {"DATABRICKS_HOST": host}) == cloud

    @pytest.mark.parametrize("named", ["azure", "AZURE"])
    def test_named(self, named: str) -> None:
        """An explicit name decides first, because a workspace may have a custom host."""
        host = "https://1.2.gcp.databricks.com"
        assert cloud_of(VARIABLES | {"DATABRICKS_CLOUD": named, "DATABRICKS_HOST": host}) == "azure"

    @pytest.mark.parametrize(
        ("name", "value", "cloud"),
        [
            ("ECR_REGISTRY", "1.dkr.ecr.eu-west-1.amazonaws.com", "aws"),
            ("INSTANCE_PROFILE_ARN", "arn:x", "aws"),
            ("IMAGE_NAME", "1.dkr.ecr.eu-west-1.amazonaws.com/t:1", "aws"),
            ("IMAGE_NAME", "name.azurecr.io/t:1", "azure"),
            ("IMAGE_NAME", "europe-west1-docker.pkg.dev/p/r/t:1", "gcp"),
            ("IMAGE_NAME", "gcr.io/p/t:1", "gcp"),
            ("IMAGE_NAME", "docker.io/user/gcr.io/t:1", None),
            ("GOOGLE_SERVICE_ACCOUNT", "a@p.iam", "gcp"),
            ("LOG_DESTINATION_S3", "s3://b", "aws"),
            ("LOG_DESTINATION", "/Volumes/a/b/c", None),
            ("INIT_SCRIPTS_DESTINATION", "abfss://c@a.dfs.core.windows.net/i.sh", "azure"),
            ("TIDEMILL__STREAM__CHECKPOINT_LOCATION", "gs://b/c", "gcp"),
            ("TIDEMILL__STREAM__CHECKPOINT_LOCATION", "s3a://b/c", "aws"),
            ("AWS_REGION", "eu-west-1", None),  # CI that runs in AWS sets it too
        ],
    )
    def test_variable(self, name: str, value: str, cloud: str | None) -> None:
        """Without a host, as in a dry run, a variable that only one cloud has decides."""
        assert cloud_of({name: value}) == cloud

    @pytest.mark.parametrize("more", [{}, {"ECR_REGISTRY": "x", "GOOGLE_SERVICE_ACCOUNT": "y"}])
    def test_unknown(self, more: dict[str, str]) -> None:
        """If no variable decides, or variables contradict each other, the user must choose."""
        with pytest.raises(VariablesMissing) as caught:
            fill_in(PLAIN | more)
        assert caught.value.names == (UNKNOWN,)


class TestNeeded:
    """Only the variables of the target cloud are required."""

    @pytest.mark.parametrize("cloud", ["aws", "azure", "gcp"])
    def test_least(self, cloud: str) -> None:
        """With an image of any registry and no places, all clouds need the same variables."""
        made = cluster(PLAIN | {"DATABRICKS_CLOUD": cloud})
        assert made["docker_image"] == {"url": "registry.example.com/tidemill:1"}
        assert {name for name in made if name.endswith("_attributes")} == {f"{cloud}_attributes"}
        assert "init_scripts" not in made
        assert "cluster_log_conf" not in made
        assert "${" not in str(made)

    def test_azure(self) -> None:
        """Azure needs a registry's account; it can use ADLS and volumes."""
        made = cluster(ON_AZURE)
        assert made["docker_image"] == {
            "url": "tidemill.azurecr.io/tidemill:stage",
            "basic_auth": {"username": "puller", "password": "{{secrets/tidemill/registry}}"},
        }
        assert made["azure_attributes"]["availability"] == "SPOT_WITH_FALLBACK_AZURE"
        destination = ON_AZURE["INIT_SCRIPTS_DESTINATION"]
        assert made["init_scripts"] == [{"abfss": {"destination": destination}}]
        logs = {"volumes": {"destination": "/Volumes/main/tidemill/logs"}}
        assert made["cluster_log_conf"] == logs

    def test_gcp(self) -> None:
        """Google Cloud needs a service account; it can use a bucket."""
        made = cluster(ON_GCP)
        account = made["gcp_attributes"]["google_service_account"]
        assert account == ON_GCP["GOOGLE_SERVICE_ACCOUNT"]
        assert made["init_scripts"] == [{"gcs": {"destination": "gs://bucket/init-script.sh"}}]

    @pytest.mark.parametrize(
        ("more", "missing"),
        [
            ({"LOG_DESTINATION": "s3://b"}, {"AWS_REGION", "INSTANCE_PROFILE_ARN"}),
            ({"INIT_SCRIPTS_DESTINATION_S3": "s3://b/i.sh", "AWS_REGION": "r"},
             {"INSTANCE_PROFILE_ARN"}),
            ({"ECR_REGISTRY": "1.dkr.ecr.r.amazonaws.com"}, {"INSTANCE_PROFILE_ARN"}),
            ({"REGISTRY_USERNAME": "u"}, {"REGISTRY_PASSWORD"}),
            ({"REGISTRY_PASSWORD": "p"}, {"REGISTRY_USERNAME"}),
        ],
    )  # fmt: skip
    def test_together(self, more: dict[str, str], missing: set[str]) -> None:
        """Some variables require others."""
        with pytest.raises(VariablesMissing) as caught:
            fill_in(PLAIN | {"DATABRICKS_CLOUD": "aws"} | more)
        assert set(caught.value.names) == missing

    def test_names_of_aws(self) -> None:
        """The older names of the two places work too."""
        older = ("INIT_SCRIPTS_DESTINATION_S3", "LOG_DESTINATION_S3")
        newer = {name.removesuffix("_S3"): VARIABLES[name] for name in older}
        others = {name: value for name, value in VARIABLES.items() if name not in older}
        assert fill_in(others | newer) == fill_in(VARIABLES)


class TestImage:
    """The image's name may include its registry."""

    @pytest.mark.parametrize(
        ("name", "url"),
        [
            ("tidemill:stage", "ecr.example.com/tidemill:stage"),
            ("team/tidemill:stage", "ecr.example.com/team/tidemill:stage"),
            ("ecr.example.com/tidemill:stage", "ecr.example.com/tidemill:stage"),
            ("localhost:5000/t", "localhost:5000/t"),
            ("localhost/t", "localhost/t"),
            ("host.example.com/t@sha256:ab", "host.example.com/t@sha256:ab"),
        ],
    )
    def test_registry(self, name: str, url: str) -> None:
        """ECR_REGISTRY applies to names without a registry."""
        more = {"IMAGE_NAME": name, "ECR_REGISTRY": "ecr.example.com"}
        assert cluster(VARIABLES | more)["docker_image"]["url"] == url

    @pytest.mark.parametrize("name", ["tidemill", "tidemill:1.0", "user/tidemill"])
    def test_no_registry(self, name: str) -> None:
        """Without ECR_REGISTRY, a name without a registry is an error."""
        with pytest.raises(VariableWrong, match=r"IMAGE_NAME must be a whole URL, such as"):
            fill_in(PLAIN | {"DATABRICKS_CLOUD": "azure", "IMAGE_NAME": name})


class TestPlaces:
    """The cloud's clusters must be able to reach a place."""

    @pytest.mark.parametrize(
        ("place", "kind"),
        [
            ("/Volumes/main/tidemill/init-script.sh", "volumes"),
            ("/Workspace/Shared/init-script.sh", "workspace"),
            ("/Shared/init-script.sh", "workspace"),
        ],
    )
    @pytest.mark.parametrize("cloud", ["aws", "azure", "gcp"])
    def test_everywhere(self, cloud: str, place: str, kind: str) -> None:
        """Volumes and workspace files exist in every cloud."""
        more = {"DATABRICKS_CLOUD": cloud, "INIT_SCRIPTS_DESTINATION": place}
        assert cluster(PLAIN | more)["init_scripts"] == [{kind: {"destination": place}}]

    def test_any_text(self) -> None:
        """Text that looks like a variable in a place is not replaced."""
        place = "/Volumes/main/${CLUSTER_NAME}/${X}"
        made = cluster(ON_AZURE | {"LOG_DESTINATION": place})
        assert made["cluster_log_conf"] == {"volumes": {"destination": place}}

    @pytest.mark.parametrize(
        ("cloud", "name", "place"),
        [
            ("azure", "INIT_SCRIPTS_DESTINATION", "s3://b/i.sh"),
            ("gcp", "INIT_SCRIPTS_DESTINATION_S3", "s3://b/i.sh"),
            ("aws", "INIT_SCRIPTS_DESTINATION", "gs://b/i.sh"),
            ("aws", "INIT_SCRIPTS_DESTINATION", "bucket/i.sh"),
            ("gcp", "LOG_DESTINATION", "gs://b/logs"),
            ("azure", "LOG_DESTINATION", "abfss://c@a.dfs.core.windows.net/logs"),
            ("azure", "LOG_DESTINATION", "/Workspace/logs"),
        ],
    )
    def test_elsewhere(self, cloud: str, name: str, place: str) -> None:
        """A place of another cloud, or of a kind that the API refuses, is an error."""
        more = {"DATABRICKS_CLOUD": cloud, name: place}
        with pytest.raises(VariableWrong, match=f"{name} must be .* on {cloud}, not"):
            fill_in(PLAIN | more)
