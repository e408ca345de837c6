from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import manifest_schemas
import pytest
import yaml
from manifest_schemas import VERSIONS, Manifest
from pod_security import unrestricted

from tidemill import settings
from tidemill.models import catalogue

FOLDER = Path(__file__).parents[4] / "deploy" / "kubernetes"
FOLDERS = ["base", "without-operator"]
# Files that kustomize itself reads, and files of the ConfigMap.
OTHERS = {"kustomization.yaml", "names.yaml", "config.yaml", "models.yaml"}
SPARK = "sparkoperator.k8s.io/v1beta2"


def manifests(name: str) -> list[Manifest]:
    """Return the documents in a folder's files."""
    files = sorted(path for path in (FOLDER / name).glob("*.yaml") if path.name not in OTHERS)
    return [document for path in files for document in yaml.safe_load_all(path.read_text())]


def rendered(name: str) -> list[Manifest]:
    """Render a folder with kustomize."""
    for command in (["kubectl", "kustomize"], ["kustomize", "build"]):
        if shutil.which(command[0]):
            break
    else:
        pytest.skip("neither kubectl nor kustomize is installed")
    done = subprocess.run([*command, FOLDER / name], capture_output=True, check=True)
    return list(yaml.safe_load_all(done.stdout))


def only(documents: list[Manifest], kind: str) -> Manifest:
    """Return the only document of a kind."""
    (found,) = [document for document in documents if document["kind"] == kind]
    return found


def check(document: Manifest, version: str) -> None:
    """Validate a document with the schema of its kind, which refuses unknown fields."""
    manifest_schemas.check(document, version)
    if document["apiVersion"] != SPARK:
        return
    # The definition does not validate metadata and pod templates.
    for role in ("driver", "executor"):
        template = document["spec"][role].get("template", {"spec": {"containers": []}})
        pod = {"metadata": document["metadata"], **template, "apiVersion": "v1", "kind": "Pod"}
        kubernetes_validate.validate(pod, version, strict=True)


def driver() -> Manifest:
    """Return the driver's pod from the operator's template."""
    pod: Manifest = only(manifests("base"), "SparkApplication")["spec"]["driver"]["template"]
    return pod


def deployed() -> Manifest:
    """Return the driver's pod from the Deployment."""
    pod: Manifest = only(manifests("without-operator"), "Deployment")["spec"]["template"]
    return pod


PODS = {"operator": driver, "deployment": deployed}


class TestSchemas:
    """Every manifest is valid for the API."""

    @pytest.mark.parametrize("version", VERSIONS)
    @pytest.mark.parametrize("name", FOLDERS)
    def test_files(self, name: str, version: str) -> None:
        """The files are valid."""
        found = manifests(name)
        assert found
        for document in found:
            check(document, version)

    @pytest.mark.parametrize("version", VERSIONS)
    @pytest.mark.parametrize("name", FOLDERS)
    def test_rendered(self, name: str, version: str) -> None:
        """The rendered manifests are valid, in one namespace, and have the image's name."""
        documents = rendered(name)
        text = json.dumps(documents)
        assert "registry.example.com/tidemill:kubernetes" in text
        assert '"tidemill:kubernetes"' not in text
        settings_of = only(documents, "ConfigMap")["metadata"]["name"]
        assert text.count(f'"{settings_of}"') == 2, "its own name, and the driver's volume"
        for document in documents:
            check(document, version)
            inside = document["metadata"].get("namespace", document["metadata"]["name"])
            assert inside == "tidemill"

    def test_without_operator(self) -> None:
        """Without the operator, no manifest needs it."""
        documents = rendered("without-operator")
        assert {d["apiVersion"] for d in documents} & {SPARK} == set()
        only(documents, "Deployment")

    @pytest.mark.parametrize(
        ("at", "value"),
        [
            (("kind",), "SparkApp"),
            (("metadata", "lables"), {}),
            (("spec", "drver"), {}),
            (("spec", "driver", "core"), 1),
            (("spec", "driver", "cores"), "1"),
            (("spec", "restartPolicy", "type"), 1),
            (("spec", "driver", "template", "spec", "containers"), [{"nam": "x"}]),
        ],
    )
    def test_refused(self, at: tuple[str, ...], value: object) -> None:
        """The check of a SparkApplication finds a typo at any depth."""
        document = only(manifests("base"), "SparkApplication")
        place = document
        for name in at[:-1]:
            place = place[name]
        place[at[-1]] = value
        with pytest.raises(jsonschema.ValidationError):
            check(document, VERSIONS[0])


class TestPods:
    """Both drivers have the same probes, stops and references."""

    @pytest.mark.parametrize("pod", PODS.values(), ids=PODS)
    def test_probes(self, pod: Any) -> None:  # noqa: ANN401 - one of two functions
        """The probes use the job's own pages, at the port that serves them."""
        (container,) = pod()["spec"]["containers"]
        monitoring = settings.load(FOLDER / "base" / "config.yaml").monitoring
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        asked = {
            probe: container[probe]["httpGet"]["path"]
            for probe in ("startupProbe", "livenessProbe", "readinessProbe")
            if ports[container[probe]["httpGet"]["port"]] == monitoring.metrics_port
        }
        assert asked == {
            "startupProbe": "/healthz",
            "livenessProbe": "/healthz",
            "readinessProbe": "/readyz",
        }
        assert monitoring.metrics_host == "0.0.0.0"  # noqa: S104 - kubelet asks from outside

    @pytest.mark.parametrize("pod", PODS.values(), ids=PODS)
    def test_stop(self, pod: Any) -> None:  # noqa: ANN401 - one of two functions
        """A pod's grace period is longer than the job's stop takes."""
        stream = settings.load(FOLDER / "base" / "config.yaml").stream
        assert pod()["spec"]["terminationGracePeriodSeconds"] >= stream.stop_timeout + 20

    @pytest.mark.parametrize("pod", PODS.values(), ids=PODS)
    def test_references(self, pod: Any) -> None:  # noqa: ANN401 - one of two functions
        """Everything that a pod refers to exists, except for the user's Secret."""
        spec = pod()["spec"]
        (container,) = spec["containers"]
        volumes = {volume["name"]: volume for volume in spec["volumes"]}
        mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        assert mounts.keys() == volumes.keys()
        assert (
            volumes["settings"]["configMap"]["name"]
            == kustomization("base")["configMapGenerator"][0]["name"]
        )
        claim = only(manifests("base"), "PersistentVolumeClaim")["metadata"]["name"]
        assert volumes["checkpoint"]["persistentVolumeClaim"]["claimName"] == claim
        stream = settings.load(FOLDER / "base" / "config.yaml").stream
        assert stream.checkpoint_location.startswith(f"{mounts['checkpoint']}/")
        assert container["envFrom"] == [{"secretRef": {"name": "tidemill", "optional": True}}]

    def test_account(self) -> None:
        """Both run as the account that may create executors."""
        account = only(manifests("base"), "ServiceAccount")["metadata"]["name"]
        application = only(manifests("base"), "SparkApplication")["spec"]
        assert application["driver"]["serviceAccount"] == account
        assert deployed()["spec"]["serviceAccountName"] == account
        binding = only(manifests("base"), "RoleBinding")
        assert binding["subjects"][0]["name"] == account
        assert binding["roleRef"]["name"] == only(manifests("base"), "Role")["metadata"]["name"]

    def test_budgets(self) -> None:
        """Each budget selects existing pods, and lets a drain finish.

        Executors, and a SparkApplication's driver, have no controller with a scale. For them only
        an integer `minAvailable` is supported; anything else prevents all evictions.
        """
        application = only(manifests("base"), "SparkApplication")["spec"]
        own = json.loads(spark_settings())
        least: dict[str, int] = {}
        for document in manifests("base"):
            if document["kind"] == "PodDisruptionBudget":
                labels = document["spec"]["selector"]["matchLabels"]
                role = labels["spark-role"]  # the label that Spark gives its pods
                assert application[role]["labels"]["app"] == labels["app"]
                assert document["spec"].keys() == {"selector", "minAvailable"}
                least[role] = document["spec"]["minAvailable"]
        assert {type(pods) for pods in least.values()} == {int}
        assert least["driver"] == 1  # the only one, so it is not evicted
        for executors in (application["executor"]["instances"], own["spark.executor.instances"]):
            assert 0 < least["executor"] < int(executors)
        assert own["spark.kubernetes.executor.label.app"] == "tidemill"
        assert deployed()["metadata"]["labels"] == {"app": "tidemill", "spark-role": "driver"}


def pods_of(documents: list[Manifest]) -> dict[str, Manifest]:
    """Return the specification of every pod in the manifests, including Spark's templates."""
    found: dict[str, Manifest] = {}
    for document in documents:
        kind, spec = document["kind"], document.get("spec", {})
        if kind == "SparkApplication":
            found |= {role: spec[role]["template"]["spec"] for role in ("driver", "executor")}
        elif kind == "Pod":
            found["pod"] = spec
        elif "template" in spec:
            found[kind] = spec["template"]["spec"]
        if kind == "ConfigMap" and "executor.yaml" in document["data"]:
            found |= pods_of([yaml.safe_load(document["data"]["executor.yaml"])])
    return found


class TestRestricted:
    """Every pod meets the restricted Pod Security Standard."""

    @pytest.mark.parametrize(
        ("name", "pods"),
        [("base", {"driver", "executor"}), ("without-operator", {"Deployment", "pod"})],
    )
    def test_every_container(self, name: str, pods: set[str]) -> None:
        """Driver and executors meet it, with and without the operator."""
        found = pods_of(rendered(name))
        assert found.keys() == pods
        assert [problem for pod in found.values() for problem in unrestricted(pod)] == []

    def test_template_is_found(self) -> None:
        """Without the operator, Spark finds the executors' template in the driver's pod."""
        (container,) = deployed()["spec"]["containers"]
        mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        data = only(rendered("without-operator"), "ConfigMap")["data"]
        path = json.loads(spark_settings())["spark.kubernetes.executor.podTemplateFile"]
        folder, _, file = path.rpartition("/")
        assert folder == mounts["settings"]
        assert file in data

    @pytest.mark.parametrize(
        "changes",
        [
            {"allowPrivilegeEscalation": True},
            {"capabilities": {"drop": ["NET_RAW"]}},
            {"runAsNonRoot": False},
            {"seccompProfile": {"type": "Unconfined"}},
            {"privileged": True},
        ],
    )
    def test_refused(self, changes: Manifest) -> None:
        """The check finds violations of the standard."""
        pod = driver()["spec"]
        pod["containers"][0]["securityContext"] |= changes
        assert len(unrestricted(pod)) == 1


class TestSettings:
    """The job accepts the ConfigMap's settings."""

    def test_models(self) -> None:
        """The models file is next to the settings, and equals the shipped one."""
        loaded = settings.load(FOLDER / "base" / "config.yaml")
        shipped = catalogue.load_models(FOLDER.parents[1] / "models.yaml")
        assert catalogue.load_models(loaded.models) == shipped

    def test_spark(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The Deployment's Spark settings apply in addition to the file's settings."""
        value = spark_settings()
        for name, own in {"POD_IP": "10.0.0.7", "IMAGE": "r/t:1", "POD_NAME": "p"}.items():
            value = value.replace(f"$({name})", own)
        monkeypatch.setenv("TIDEMILL__SPARK", value.replace("$(NAMESPACE)", "tidemill"))
        spark = settings.load(FOLDER / "base" / "config.yaml").spark
        assert spark["spark.master"].startswith("k8s://")
        assert spark["spark.driver.host"] == "10.0.0.7"
        assert spark["spark.kubernetes.container.image"] == "r/t:1"
        assert "$(" not in str(spark)

    def test_variables_in_order(self) -> None:
        """Kubernetes replaces only variables that are defined earlier."""
        (container,) = deployed()["spec"]["containers"]
        names = [variable["name"] for variable in container["env"]]
        used = {part.split(")")[0] for part in spark_settings().split("$(")[1:]}
        assert used == set(names[: names.index("TIDEMILL__SPARK")])


def kustomization(name: str) -> Manifest:
    """Return a folder's kustomization."""
    document: Manifest = yaml.safe_load((FOLDER / name / "kustomization.yaml").read_text())
    return document


def spark_settings() -> str:
    """Return the Deployment's Spark settings."""
    (container,) = deployed()["spec"]["containers"]
    (value,) = [v["value"] for v in container["env"] if v["name"] == "TIDEMILL__SPARK"]
    return str(value)
