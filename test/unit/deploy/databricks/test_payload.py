from __future__ import annotations

import json
from typing import Any

import pytest
from databricks.sdk.service.jobs import JobSettings
from hypothesis import given
from hypothesis import strategies as st
from jobs_api import ON_AZURE, ON_GCP, VARIABLES
from jobs_shapes import JOB, check

from deploy.databricks.errors import VariablesMissing, VariableWrong
from deploy.databricks.payload import fill_in
from tidemill.models.pool.launch import THREAD_VARIABLES
from tidemill.settings import KafkaSettings, Settings, StreamSettings
from tidemill.spark.conf import context_conf

# Valid values of an environment variable: without NUL, and not blank.
VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)
VALUES = VALUES.map(str.strip).filter(bool)
NO_REGISTRY = VALUES.filter(lambda image: "/" not in image)


def task_of(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the job's only task."""
    (task,) = settings["tasks"]
    return dict(task)


def cluster_of(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the cluster of the job's only task."""
    return dict(task_of(settings)["new_cluster"])


class TestJob:
    """The variables describe the job in the payload."""

    def test_task(self, variables: dict[str, str]) -> None:
        """The task runs a Python file of the image, with a path that contains `app`."""
        task = task_of(fill_in(variables))
        assert task["spark_python_task"]["python_file"] == "file:/app/run.py"
        assert task["new_cluster"]["spark_env_vars"]["PYTHONPATH"].split(":")[0] == "/app"
        assert "spark_submit_task" not in task

    def test_cluster(self, variables: dict[str, str]) -> None:
        """The cluster has its machines, image, places and permissions."""
        cluster = cluster_of(fill_in(variables | {"DRIVER_INSTANCE_TYPE": "m5.large"}))
        assert cluster["spark_version"] == "19.x-scala2.13"
        assert (cluster["node_type_id"], cluster["driver_node_type_id"]) == (
            "c5.xlarge",
            "m5.large",
        )
        assert cluster["autoscale"] == {"min_workers": 1, "max_workers": 4}
        assert cluster["docker_image"]["url"] == (
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com/tidemill:stage"
        )
        assert cluster["aws_attributes"]["spot_bid_price_percent"] == 100
        assert cluster["aws_attributes"]["instance_profile_arn"].endswith("/tidemill")
        assert cluster["cluster_log_conf"]["s3"]["destination"] == "s3://bucket/logs"
        assert cluster["init_scripts"][0]["s3"]["destination"] == "s3://bucket/init-script.sh"

    def test_driver_as_workers(self, variables: dict[str, str]) -> None:
        """Without an instance type of its own, the driver has the workers' type."""
        assert cluster_of(fill_in(variables))["driver_node_type_id"] == "c5.xlarge"

    def test_once_and_for_ever(self, variables: dict[str, str]) -> None:
        """One run at a time is retried without limit, and no other is queued."""
        settings = fill_in(variables)
        assert settings["name"] == "STAGE_NER"
        assert settings["max_concurrent_runs"] == 1
        assert settings["queue"] == {"enabled": False}
        assert task_of(settings)["max_retries"] == -1
        assert "continuous" not in settings

    def test_continuous(self, variables: dict[str, str]) -> None:
        """A continuous job has no retries, because the API forbids them."""
        settings = fill_in(variables, continuous=True)
        assert settings["continuous"] == {"pause_status": "UNPAUSED"}
        assert settings["max_concurrent_runs"] == 1
        assert not {name for name in task_of(settings) if "retr" in name}

    @pytest.mark.parametrize("continuous", [False, True])
    @pytest.mark.parametrize("given_", [VARIABLES, ON_AZURE, ON_GCP], ids=["aws", "azure", "gcp"])
    def test_known_to_the_sdk(self, given_: dict[str, str], continuous: bool) -> None:
        """The SDK's types keep every field and value."""
        settings = fill_in(given_, continuous=continuous)
        assert JobSettings.from_dict(settings).as_dict() == settings
        check(settings, JOB, "settings")


class TestSparkConf:
    """The cluster's settings contain what Spark needs before the job starts."""

    def test_as_the_job_needs_it(self, variables: dict[str, str]) -> None:
        """They equal the job's own settings of the context, except for the name."""
        wanted = context_conf(Settings())
        del wanted["spark.app.name"]
        assert wanted.items() <= cluster_of(fill_in(variables))["spark_conf"].items()

    @pytest.mark.parametrize(
        "name",
        [
            "aggressiveWindowDownS",
            "aggressiveFirstStepScaleUpFraction",
            "aggressiveFirstStepScaleUpMax",
        ],
    )
    def test_scaling(self, name: str, variables: dict[str, str]) -> None:
        """Three settings slow down autoscaling."""
        assert float(cluster_of(fill_in(variables))["spark_conf"][f"spark.databricks.{name}"]) > 0

    def test_threads(self, variables: dict[str, str]) -> None:
        """The job's number of threads is set before the workers start."""
        conf = cluster_of(fill_in(variables | {"TIDEMILL__STREAM__WORKER_THREADS": "3"}))[
            "spark_conf"
        ]
        wanted = context_conf(Settings(stream=StreamSettings(worker_threads=3)))
        threads = {name: value for name, value in wanted.items() if "THREADS" in name}
        assert len(threads) == len(THREAD_VARIABLES)
        assert threads.items() <= conf.items()

    def test_token_url(self, variables: dict[str, str]) -> None:
        """Kafka's client may request tokens there, on the driver and the executors."""
        url = "https://id/token"
        conf = cluster_of(fill_in(variables | {"TIDEMILL__KAFKA__OAUTH_TOKEN_URL": url}))[
            "spark_conf"
        ]
        own = context_conf(Settings(kafka=KafkaSettings(oauth_token_url=url)))
        for side in ("driver", "executor"):
            java = conf[f"spark.{side}.extraJavaOptions"].split()
            assert own["spark.executor.extraJavaOptions"] in java
            assert f"-Dkafkashaded.org.apache.kafka.sasl.oauthbearer.allowed.urls={url}" in java


class TestVariables:
    """Missing and invalid variables are errors before anything is sent."""

    def test_none(self) -> None:
        """The error names all missing variables, and no optional one."""
        with pytest.raises(VariablesMissing) as caught:
            fill_in({})
        assert set(caught.value.names) == {
            "CLUSTER_NAME", "IMAGE_NAME", "INSTANCE_TYPE", "SPARK_VERSION", "MIN_WORKERS",
            "MAX_WORKERS", "DATABRICKS_HOST or DATABRICKS_CLOUD (aws, azure or gcp)",
        }  # fmt: skip
        assert all(name in str(caught.value) for name in caught.value.names)

    def test_blank(self, variables: dict[str, str]) -> None:
        """A blank variable counts as missing."""
        with pytest.raises(VariablesMissing) as caught:
            fill_in(variables | {"IMAGE_NAME": "  ", "AWS_REGION": ""})
        assert set(caught.value.names) == {"IMAGE_NAME", "AWS_REGION"}

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("MIN_WORKERS", "-1"),
            ("MIN_WORKERS", "two"),
            ("MAX_WORKERS", "0"),
            ("MAX_WORKERS", "1.5"),
            ("MAX_WORKERS", "٣"),
            ("SPOT_BID_PRICE_PERCENT", "80%"),
            ("LOG_DESTINATION_S3", "/logs"),
            ("LOG_DESTINATION_S3", "/Volumes/main/tidemill/logs"),
            ("INIT_SCRIPTS_DESTINATION_S3", "bucket/init-script.sh"),
            ("IMAGE_NAME", "https://registry.example.com/tidemill:stage"),
            ("DATABRICKS_CLOUD", "amazon"),
        ],
    )
    def test_wrong(self, name: str, value: str, variables: dict[str, str]) -> None:
        """An invalid value is an error that names its variable."""
        with pytest.raises(VariableWrong, match=name):
            fill_in(variables | {name: value})

    @given(name=VALUES, image=NO_REGISTRY, setting=VALUES)
    def test_any_text(self, name: str, image: str, setting: str) -> None:
        """Any value reaches the payload unchanged, and affects nothing else."""
        given_ = {
            "CLUSTER_NAME": name,
            "IMAGE_NAME": image,
            "TIDEMILL__KAFKA__SASL_USERNAME": setting,
        }
        plain = fill_in(VARIABLES)
        settings = json.loads(json.dumps(fill_in(VARIABLES | given_)))
        cluster = cluster_of(settings)
        assert settings["name"] == cluster["custom_tags"]["job"] == name
        assert cluster["docker_image"]["url"] == f"{VARIABLES['ECR_REGISTRY']}/{image}"
        assert cluster["spark_env_vars"].pop("TIDEMILL__KAFKA__SASL_USERNAME") == setting
        settings["name"] = cluster["custom_tags"]["job"] = plain["name"]
        cluster["docker_image"]["url"] = cluster_of(plain)["docker_image"]["url"]
        assert settings == plain
