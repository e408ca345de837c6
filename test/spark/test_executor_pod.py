"""Build an executor's pod from the template with Spark's own code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pod_security import unrestricted

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes" / "without-operator"


def executor_pod(java: Any, settings: dict[str, str]) -> dict[str, Any]:  # noqa: ANN401 - py4j
    """Return the spec of an executor's pod, built by Spark without access to a cluster."""

    def scala(package: Any, name: str) -> Any:  # noqa: ANN401 - a Scala object, by py4j
        return getattr(getattr(package, f"{name}$"), "MODULE$")

    org, fabric8 = java.org.apache.spark, java.io.fabric8.kubernetes.client
    conf = org.SparkConf(False)
    for name, value in settings.items():
        conf.set(name, value)
    none = java.scala.Option.empty()
    secret = scala(org.internal.config, "package").AUTH_SECRET_FILE()
    built = org.scheduler.cluster.k8s.KubernetesExecutorBuilder().buildFromFeatures(
        scala(org.deploy.k8s, "KubernetesConf").createExecutorConf(conf, "1", "app", none, 0),
        org.SecurityManager(conf, none, secret),
        fabric8.KubernetesClientBuilder().build(),
        scala(org.resource, "ResourceProfile").getOrCreateDefaultProfile(conf),
    )
    as_json = fabric8.utils.Serialization.asJson
    spec: dict[str, Any] = json.loads(as_json(built.pod().pod()))["spec"]
    return spec | {"containers": [json.loads(as_json(built.pod().container()))]}


class TestWithoutOperator:
    """The executors of the Deployment are built from a pod template."""

    def test_restricted(self, spark: SparkSession) -> None:
        """Their pods comply with the restricted Pod Security Standard."""
        deployment = yaml.safe_load((FOLDER / "deployment.yaml").read_text())
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        (value,) = [v["value"] for v in container["env"] if v["name"] == "TIDEMILL__SPARK"]
        template = "spark.kubernetes.executor.podTemplateFile"
        settings = json.loads(value) | {
            template: str(FOLDER / "executor.yaml"),  # a ConfigMap mounts it on the driver
            "spark.app.name": "tidemill",
            "spark.driver.port": "7078",
        }
        pod = executor_pod(spark.sparkContext._jvm, settings)  # noqa: SLF001
        (executor,) = pod["containers"]
        assert executor["args"] == ["executor"]
        assert unrestricted(pod) == []
        without = {name: text for name, text in settings.items() if name != template}
        assert unrestricted(executor_pod(spark.sparkContext._jvm, without))  # noqa: SLF001
