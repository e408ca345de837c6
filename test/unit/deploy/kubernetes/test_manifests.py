from __future__ import annotations

import gzip
import json
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml
from pod_security import unrestricted

from tidemill import settings
from tidemill.models import catalogue

FOLDER = Path(__file__).parents[4] / "deploy" / "kubernetes"
FOLDERS = ["base", "without-operator"]
# What kustomize itself reads, and what goes into the ConfigMap.
OTHERS = {"kustomization.yaml", "names.yaml", "config.yaml", "models.yaml"}
# The oldest Kubernetes that its own project supports, or about, and the newest that is described.
VERSIONS = ["1.33", "1.36"]
SPARK = "sparkoperator.k8s.io/v1beta2"
# As the Spark operator's repository has it (config/crd/bases, Apache-2.0).
DEFINITION = Path(__file__).with_name("sparkapplications-2.4.0.crd.yaml.gz")
Manifest = dict[str, Any]


def manifests(name: str) -> list[Manifest]:
    """Return what stands in the files of a folder."""
    files = sorted(path for path in (FOLDER / name).glob("*.yaml") if path.name not in OTHERS)
    return [document for path in files for document in yaml.safe_load_all(path.read_text())]


def rendered(name: str) -> list[Manifest]:
    """Return what kustomize makes of a folder."""
    for command in (["kubectl", "kustomize"], ["kustomize", "build"]):
        if shutil.which(command[0]):
            break
    else:
        pytest.skip("neither kubectl nor kustomize is installed")
    done = subprocess.run([*command, FOLDER / name], capture_output=True, check=True)
    return list(yaml.safe_load_all(done.stdout))


def only(documents: list[Manifest], kind: str) -> Manifest:
    """Return the one document of a kind."""
    (found,) = [document for document in documents if document["kind"] == kind]
    return found


@cache
def application() -> jsonschema.Draft7Validator:
    """Return what a SparkApplication is held against: its definition, and no unknown fields."""
    definition = yaml.load(gzip.decompress(DEFINITION.read_bytes()), yaml.CSafeLoader)
    (version,) = definition["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]
    refuse_unknown(schema)
    schema["properties"]["kind"] = {"const": "SparkApplication"}
    return jsonschema.Draft7Validator(schema)


def refuse_unknown(schema: Any) -> None:  # noqa: ANN401 - of any depth
    """Have a schema name all fields, as the API server does where it is told to be strict."""
    if isinstance(schema, dict) and isinstance(schema.get("properties"), dict):
        schema.setdefault("additionalProperties", False)
    for inner in schema.values() if isinstance(schema, dict) else schema:
        if isinstance(inner, dict | list):
            refuse_unknown(inner)


def check(document: Manifest, version: str) -> None:
    """Hold a document against the schema of its kind; unknown fields are refused."""
    if document["apiVersion"] != SPARK:
        kubernetes_validate.validate(document, version, strict=True)
        return
    application().validate(document)
    # Which leaves metadata and a pod's template open.
    for role in ("driver", "executor"):
        template = document["spec"][role].get("template", {"spec": {"containers": []}})
        pod = {"metadata": document["metadata"], **template, "apiVersion": "v1", "kind": "Pod"}
        kubernetes_validate.validate(pod, version, strict=True)


def driver() -> Manifest:
    """Return the driver's pod as the operator's template describes it."""
    pod: Manifest = only(manifests("base"), "SparkApplication")["spec"]["driver"]["template"]
    return pod


def deployed() -> Manifest:
    """Return the driver's pod of the Deployment."""
    pod: Manifest = only(manifests("without-operator"), "Deployment")["spec"]["template"]
    return pod


PODS = {"operator": driver, "deployment": deployed}


class TestSchemas:
    """Every manifest is what the API takes."""

    @pytest.mark.parametrize("version", VERSIONS)
    @pytest.mark.parametrize("name", FOLDERS)
    def test_files(self, name: str, version: str) -> None:
        """As it stands in the files."""
        found = manifests(name)
        assert found
        for document in found:
            check(document, version)

    @pytest.mark.parametrize("version", VERSIONS)
    @pytest.mark.parametrize("name", FOLDERS)
    def test_rendered(self, name: str, version: str) -> None:
        """As kustomize renders it, all in one namespace, with the image's own name."""
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
        """Without the operator nothing needs it."""
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
        """The check of a SparkApplication refuses a slip of the pen, at any depth."""
        document = only(manifests("base"), "SparkApplication")
        place = document
        for name in at[:-1]:
            place = place[name]
        place[at[-1]] = value
        with pytest.raises(jsonschema.ValidationError):
            check(document, VERSIONS[0])


class TestPods:
    """Both drivers are looked after in the same way."""

    @pytest.mark.parametrize("pod", PODS.values(), ids=PODS)
    def test_probes(self, pod: Any) -> None:  # noqa: ANN401 - one of two functions
        """The job's own pages are asked, at the port where it serves them."""
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
        """A pod has longer for its end than the job takes."""
        stream = settings.load(FOLDER / "base" / "config.yaml").stream
        assert pod()["spec"]["terminationGracePeriodSeconds"] >= stream.stop_timeout + 20

    @pytest.mark.parametrize("pod", PODS.values(), ids=PODS)
    def test_references(self, pod: Any) -> None:  # noqa: ANN401 - one of two functions
        """What a pod mounts and takes from elsewhere is there; the Secret is the user's."""
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
        """Both run as the account that may make executors."""
        account = only(manifests("base"), "ServiceAccount")["metadata"]["name"]
        application = only(manifests("base"), "SparkApplication")["spec"]
        assert application["driver"]["serviceAccount"] == account
        assert deployed()["spec"]["serviceAccountName"] == account
        binding = only(manifests("base"), "RoleBinding")
        assert binding["subjects"][0]["name"] == account
        assert binding["roleRef"]["name"] == only(manifests("base"), "Role")["metadata"]["name"]

    def test_budgets(self) -> None:
        """Each budget is for pods that there are, and lets a drain go on.

        Executors, and a SparkApplication's driver, have no controller with a scale: then only an
        integer `minAvailable` is supported, and anything else lets no pod be evicted.
        """
        application = only(manifests("base"), "SparkApplication")["spec"]
        own = json.loads(spark_settings())
        least: dict[str, int] = {}
        for document in manifests("base"):
            if document["kind"] == "PodDisruptionBudget":
                labels = document["spec"]["selector"]["matchLabels"]
                role = labels["spark-role"]  # Spark's own label on what it starts
                assert application[role]["labels"]["app"] == labels["app"]
                assert document["spec"].keys() == {"selector", "minAvailable"}
                least[role] = document["spec"]["minAvailable"]
        assert {type(pods) for pods in least.values()} == {int}
        assert least["driver"] == 1  # all there are: it is not evicted
        for executors in (application["executor"]["instances"], own["spark.executor.instances"]):
            assert 0 < least["executor"] < int(executors)
        assert own["spark.kubernetes.executor.label.app"] == "tidemill"
        assert deployed()["metadata"]["labels"] == {"app": "tidemill", "spark-role": "driver"}


def pods_of(documents: list[Manifest]) -> dict[str, Manifest]:
    """Return the specification of every pod that manifests make, templates for Spark included."""
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
    """A namespace that enforces the restricted Pod Security Standard admits every pod."""

    @pytest.mark.parametrize(
        ("name", "pods"),
        [("base", {"driver", "executor"}), ("without-operator", {"Deployment", "pod"})],
    )
    def test_every_container(self, name: str, pods: set[str]) -> None:
        """Of driver and executors, with the operator and without it."""
        found = pods_of(rendered(name))
        assert found.keys() == pods
        assert [problem for pod in found.values() for problem in unrestricted(pod)] == []

    def test_template_is_found(self) -> None:
        """Without the operator Spark finds the executors' template where the driver has it."""
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
        """The check sees what the standard forbids."""
        pod = driver()["spec"]
        pod["containers"][0]["securityContext"] |= changes
        assert len(unrestricted(pod)) == 1


class TestSettings:
    """The ConfigMap's settings are ones that the job takes."""

    def test_models(self) -> None:
        """The models' file is found beside the settings, and is as it is shipped."""
        loaded = settings.load(FOLDER / "base" / "config.yaml")
        shipped = catalogue.load_models(FOLDER.parents[1] / "models.yaml")
        assert catalogue.load_models(loaded.models) == shipped

    def test_spark(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What the Deployment says to Spark reaches it beside the file's settings."""
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
        """Kubernetes puts in only what stands before."""
        (container,) = deployed()["spec"]["containers"]
        names = [variable["name"] for variable in container["env"]]
        used = {part.split(")")[0] for part in spark_settings().split("$(")[1:]}
        assert used == set(names[: names.index("TIDEMILL__SPARK")])


def kustomization(name: str) -> Manifest:
    """Return a folder's kustomization."""
    document: Manifest = yaml.safe_load((FOLDER / name / "kustomization.yaml").read_text())
    return document


def spark_settings() -> str:
    """Return what the Deployment says to Spark."""
    (container,) = deployed()["spec"]["containers"]
    (value,) = [v["value"] for v in container["env"] if v["name"] == "TIDEMILL__SPARK"]
    return str(value)
