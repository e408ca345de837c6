"""What is known of KServe's tests, and where they come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dev.peers import kserve_differences, kserve_source
from dev.peers.kserve_differences import CANNOT, DIFFERS
from dev.peers.kserve_source import LOCK, NoSource

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("test_server.py::TestV2Endpoints::test_infer_v2", None),
        ("test_server.py::TestV2Endpoints::test_requested_output", DIFFERS),
        ("test_server.py::TestV1Endpoints::test_metrics_v1", CANNOT),
        ("test_inference_client.py::TestInferenceRESTClient::test_infer[v2-v2]", None),
        ("test_inference_client.py::TestInferenceRESTClient::test_infer[v1-v1]", CANNOT),
        ("test_grpc_server.py::test_grpc_raw_inputs", DIFFERS),
        ("test_grpc_server.py::test_grpc_raw_inputs_with_missing_input_data", None),
    ],
)
def test_known(name: str, kind: str | None) -> None:
    """A test passes unless it cannot apply or a difference is known."""
    found = kserve_differences.find(name)
    assert (found and found[0]) == kind


class TestUnpack:
    def test_once(self, tmp_path: Path) -> None:
        """Nothing is downloaded if the tests of this version are there."""
        (tmp_path / LOCK.name).write_bytes(LOCK.read_bytes())
        assert kserve_source.unpack(tmp_path) == tmp_path
        assert [each.name for each in tmp_path.iterdir()] == [LOCK.name]

    def test_no_source(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A failing download is an error of one line."""
        lock = tmp_path / "lock.txt"
        lock.write_text("./missing.tar.gz\n")
        monkeypatch.setattr(kserve_source, "LOCK", lock)
        with pytest.raises(NoSource, match="cannot download KServe's tests: ") as error:
            kserve_source.unpack(tmp_path / "tests")
        assert "\n" not in str(error.value)
