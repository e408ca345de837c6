"""The manifests of `tidemill serve` are valid, agree with one another, and have no single copy."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from manifest_schemas import VERSIONS, Manifest, check
from pod_security import unrestricted

from deploy.kubernetes.serving import one_per_model
from tidemill import settings
from tidemill.models.catalogue import load_models

FOLDER = Path(one_per_model.__file__).parent
ROOT = FOLDER.parents[2]
OTHERS = {"kustomization.yaml", "config.yaml", "models.yaml"}
FILES = sorted(path for path in FOLDER.rglob("*.yaml") if path.name not in OTHERS)
IMAGE = "registry.example.com/tidemill:serve"


def manifests(*files: Path) -> list[Manifest]:
    """Return the documents in some files."""
    return [each for file in files for each in yaml.safe_load_all(file.read_text("utf-8"))]


def only(kind: str, documents: list[Manifest] | None = None) -> Manifest:
    """Return the only document of a kind."""
    (found,) = [each for each in documents or manifests(*FILES) if each["kind"] == kind]
    return found


def pod() -> Manifest:
    """Return the specification of a server's pod."""
    found: Manifest = only("Deployment")["spec"]["template"]["spec"]
    return found


class TestSchemas:
    """Every manifest is valid for the API."""

    @pytest.mark.parametrize("version", VERSIONS)
    @pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
    def test_files(self, file: Path, version: str) -> None:
        """The files are valid, and all of them are in one namespace once they are applied."""
        found = manifests(file)
        assert found
        for document in found:
            check(document, version)
            is_rendered = file.parent == FOLDER
            own = document["metadata"].get("namespace", "tidemill" if is_rendered else None)
            assert own == "tidemill"

    def test_rendered(self) -> None:
        """Rendered by kustomize they are valid, and refer to the ConfigMap and the image."""
        if not shutil.which("kubectl"):
            pytest.skip("kubectl is not installed")
        done = subprocess.run(["kubectl", "kustomize", FOLDER], capture_output=True, check=True)
        found = list(yaml.safe_load_all(done.stdout))
        for document in found:
            check(document, VERSIONS[-1])
        spec = only("Deployment", found)["spec"]["template"]["spec"]
        assert spec["containers"][0]["image"] == IMAGE
        name = only("ConfigMap", found)["metadata"]["name"]
        assert spec["volumes"][0]["configMap"]["name"] == name != "tidemill-serve"

    @pytest.mark.parametrize(
        ("kind", "at", "value"),
        [
            ("HTTPRoute", ("spec", "rules", 0, "backendRefs", 0, "prt"), 1),
            ("GRPCRoute", ("spec", "hostnames"), "models.example.com"),
            ("BackendTrafficPolicy", ("spec", "retry", "numRetry"), 1),
            ("ScaledObject", ("spec", "triggers", 0, "metadata", "query"), 1),
            ("InferenceService", ("spec", "predictor", "model", "runtim"), "x"),
            ("ServingRuntime", ("spec", "containers", 0, "nme"), "x"),
        ],
    )
    def test_refused(self, kind: str, at: tuple[Any, ...], value: object) -> None:
        """The check finds a mistake in every kind that is not Kubernetes' own."""
        document = place = only(kind)
        for name in at[:-1]:
            place = place[name]
        place[at[-1]] = value
        with pytest.raises(jsonschema.ValidationError):
            check(document, VERSIONS[0])


class TestServers:
    """A server may end at any time, and requests are answered all the same."""

    def test_more_than_one(self) -> None:
        """There are two servers or more, and an update or a drain takes none before its time."""
        deployment = only("Deployment")["spec"]
        assert deployment["replicas"] >= 2
        assert deployment["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
        assert only("PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
        assert only("ScaledObject")["spec"]["minReplicaCount"] >= 2
        assert only("InferenceService")["spec"]["predictor"]["minReplicas"] >= 2

    def test_probes(self) -> None:
        """The probes use the server's own pages, at the port that serves them."""
        (container,) = pod()["containers"]
        serving = settings.load(FOLDER / "config.yaml").serving
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        assert ports == {"http": serving.http_port, "grpc": serving.grpc_port}
        assert serving.host == "0.0.0.0"  # noqa: S104 - kubelet asks from outside
        for probe, path in (
            ("startup", "healthz"),
            ("liveness", "healthz"),
            ("readiness", "readyz"),
        ):
            assert container[f"{probe}Probe"]["httpGet"] == {"path": f"/{path}", "port": "http"}

    @pytest.mark.parametrize("kind", ["Deployment", "InferenceService"])
    def test_stop(self, kind: str) -> None:
        """A pod has the time to wait, to answer and to end."""
        spec = pod() if kind == "Deployment" else only(kind)["spec"]["predictor"]
        runtime = spec if kind == "Deployment" else only("ServingRuntime")["spec"]
        (container,) = runtime["containers"]
        waits = container["lifecycle"]["preStop"]["sleep"]["seconds"]
        drains = settings.load(FOLDER / "config.yaml").serving.drain_timeout
        assert spec["terminationGracePeriodSeconds"] >= waits + drains + 10

    def test_restricted(self) -> None:
        """Pods meet the restricted Pod Security Standard, and cannot write to their image."""
        for spec in (pod(), only("ServingRuntime")["spec"]):
            assert unrestricted(spec) == []
            assert spec["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True

    def test_references(self) -> None:
        """Services, routes and autoscaler name what is there."""
        labels = only("Deployment")["spec"]["template"]["metadata"]["labels"]
        services = [each for each in manifests(*FILES) if each["kind"] == "Service"]
        assert all(each["spec"]["selector"] == labels for each in services)
        ports = {
            (each["metadata"]["name"], p["port"])
            for each in services
            for p in each["spec"]["ports"]
        }
        for kind in ("HTTPRoute", "GRPCRoute"):
            (rule,) = only(kind)["spec"]["rules"]
            (backend,) = rule["backendRefs"]
            assert (backend["name"], backend["port"]) in ports
        targets = only("BackendTrafficPolicy")["spec"]["targetRefs"]
        assert {(each["kind"], each["name"]) for each in targets} == {
            (kind, only(kind)["metadata"]["name"]) for kind in ("HTTPRoute", "GRPCRoute")
        }
        scaled = only("ScaledObject")["spec"]["scaleTargetRef"]["name"]
        assert scaled == only("Deployment")["metadata"]["name"]
        runtime = only("InferenceService")["spec"]["predictor"]["model"]["runtime"]
        assert runtime == only("ServingRuntime")["metadata"]["name"]

    def test_tokens(self) -> None:
        """The file of tokens that config.yaml suggests is in a volume, which needs no Secret."""
        suggested = re.search(r"# tokens: (.+)", (FOLDER / "config.yaml").read_text("utf-8"))
        assert suggested
        (container,) = pod()["containers"]
        mounted = {each["mountPath"]: each["name"] for each in container["volumeMounts"]}
        name = mounted[str(Path(suggested[1]).parent)]
        (volume,) = [each for each in pod()["volumes"] if each["name"] == name]
        assert volume["secret"]["optional"] is True

    def test_models(self) -> None:
        """The models are the shipped ones."""
        loaded = settings.load(FOLDER / "config.yaml")
        assert load_models(loaded.models) == load_models(ROOT / "models.yaml")


def run_script(file: Path) -> subprocess.CompletedProcess[str]:
    """Run the script on a models.yaml."""
    command = [sys.executable, str(one_per_model.__file__), str(file), IMAGE]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def generated(tmp_path: Path, models: str) -> list[Manifest]:
    """Return what the script prints for a models.yaml."""
    file = tmp_path / "models.yaml"
    file.write_text(models, "utf-8")
    done = run_script(file)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def entry(name: str, more: str = "") -> str:
    """Return an entry of models.yaml."""
    adapter = 'adapter: "served_models:Upper", sample: a, payload: text'
    return f"  - {{name: {name}, version: 1, {adapter}, match: {{to: {name}}}{more}}}\n"


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> list[Manifest]:
    """Return the manifests for 200 models."""
    models = "".join(entry(f"model-{number}") for number in range(200))
    return generated(tmp_path_factory.mktemp("many"), f"models:\n{models}")


class TestOnePerModel:
    """Every name gets servers of its own."""

    def test_many(self, many: list[Manifest], tmp_path: Path) -> None:
        """With 200 entries, the manifests are valid, and each server has its own entry only."""
        for document in many[:7] + many[-7:]:
            check(document, VERSIONS[-1])
        names = [(each["kind"], each["metadata"]["name"]) for each in many]
        assert len(set(names)) == len(names) == 200 * 7
        configured = [each["data"] for each in many if each["kind"] == "ConfigMap"]
        (tmp_path / "models.yaml").write_text(configured[7]["models.yaml"])
        (route,) = load_models(tmp_path / "models.yaml")
        assert route.name == "model-7"

    def test_requests(self, many: list[Manifest]) -> None:
        """A model's paths and its gRPC calls lead to its Service, which selects its pods."""
        own = [each for each in many if each["metadata"]["name"] == "serve-model-7"]
        (rule,) = only("HTTPRoute", own)["spec"]["rules"]
        assert [match["path"]["value"] for match in rule["matches"]] == [
            "/v2/models/model-7",
            "/model-7",
        ]
        assert rule["backendRefs"][0]["name"] == "serve-model-7"
        (rule,) = only("GRPCRoute", own)["spec"]["rules"]
        assert rule["matches"] == [{"headers": [{"name": "tidemill-model", "value": "model-7"}]}]
        selector = only("Service", own)["spec"]["selector"]
        deployment = only("Deployment", own)["spec"]["template"]
        assert selector == deployment["metadata"]["labels"] == {"app": "serve-model-7"}
        assert deployment["spec"]["containers"][0]["image"] == IMAGE
        assert deployment["spec"]["volumes"][0]["configMap"]["name"] == "serve-model-7"

    @pytest.mark.parametrize("text", [None, "models: [{name: a}, {}]", "models: [{"])
    def test_wrong_file(self, tmp_path: Path, text: str | None) -> None:
        """A file that is missing or wrong is an error in one line."""
        file = tmp_path / "models.yaml"
        if text is not None:
            file.write_text(text, "utf-8")
        done = run_script(file)
        assert (done.returncode, done.stdout) == (2, "")
        assert len(done.stderr.splitlines()) == 1
        assert "models.yaml" in done.stderr

    def test_endpoints(self, tmp_path: Path) -> None:
        """Paths of endpoints are as the server has them, in as many routes as are needed."""
        zones = ", ".join(f"[{number}, TAXI]" for number in range(100))
        fare = entry("fare", f", endpoint: fares, parameters: [{zones}]")
        other = entry("other", ", endpoint: fares, parameters: [[0, BUS]]")
        models = f"models:\n{fare}{other}endpoints:\n  fares: [zone, kind]\n"
        found = generated(tmp_path, models)
        routes = [each for each in found if each["kind"] == "HTTPRoute"]
        matches = [each["spec"]["rules"][0]["matches"] for each in routes]
        assert [len(part) for part in matches] == [64, 64, 64, 8, 2]
        paths = [match["path"]["value"] for part in matches for match in part]
        assert {"/v2/models/fare_7_TAXI", "/fares/7/TAXI"} <= set(paths)
        for document in found:
            check(document, VERSIONS[-1])

    def test_versions(self, tmp_path: Path) -> None:
        """Entries with the same name share their servers, because V2 has one path for both."""
        second = entry("ner").replace("version: 1", "version: 2").replace("to: ner", "to: other")
        found = generated(tmp_path, f"models:\n{entry('ner')}{second}")
        models = yaml.safe_load(only("ConfigMap", found)["data"]["models.yaml"])["models"]
        assert [model["version"] for model in models] == [1, 2]

    @given(st.lists(st.text(min_size=1), unique=True, max_size=5))
    def test_labels(self, names: list[str]) -> None:
        """Any names become different names of DNS, which also fit with what is appended."""
        labels = [one_per_model.dns_label(name) for name in names]
        assert len(set(labels)) == len(labels)
        for label in labels:
            assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,53}[a-z0-9])?", label)
            assert len(f"{label}-servers") <= 63
