from __future__ import annotations

import json
import os
import traceback
from typing import TYPE_CHECKING
from unittest import mock

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from tidemill import settings
from tidemill.errors import ConfigurationError, InvalidSettings

if TYPE_CHECKING:
    from pathlib import Path

CANARY = "canary-7d1f"
SECRETS = ("ssl_key_password", "sasl_password", "oauth_client_secret")


@pytest.fixture(params=SECRETS)
def secret(request: pytest.FixtureRequest) -> str:
    """Each secret setting."""
    return str(request.param)


def revealed(loaded: settings.Settings, secret: str) -> str:
    """Return the secret that clients get."""
    value: str = getattr(loaded.kafka, secret).get_secret_value()
    return value


class TestWaysIn:
    """A secret comes from a variable or from a file."""

    def test_variable(self, secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """A variable may hold the secret."""
        monkeypatch.setenv(f"TIDEMILL__KAFKA__{secret.upper()}", CANARY)
        assert revealed(settings.load(), secret) == CANARY

    @pytest.mark.parametrize("end", ["", "\n", "\r\n"])
    def test_file(self, secret: str, end: str, tmp_path: Path) -> None:
        """A setting may name a file that holds the secret; the final line break is removed."""
        (tmp_path / "secret").write_bytes(f" {CANARY} {end}".encode())
        (tmp_path / "c.yaml").write_text(f"kafka: {{{secret}_file: {tmp_path}/secret}}", "utf-8")
        assert revealed(settings.load(tmp_path / "c.yaml"), secret) == f" {CANARY} "

    def test_variable_that_names_a_file(
        self, secret: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A variable may name the file."""
        (tmp_path / "secret").write_text(CANARY, "utf-8")
        monkeypatch.setenv(f"TIDEMILL__KAFKA__{secret.upper()}_FILE", str(tmp_path / "secret"))
        assert revealed(settings.load(), secret) == CANARY

    @given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1))
    @example('{"a": 1}')
    @example('"quoted"')
    @example("null")
    @example("12")
    @example(" spaced ")
    def test_any_password(self, password: str) -> None:
        """A password is unchanged, even if it looks like JSON."""
        with mock.patch.dict(os.environ, {"TIDEMILL__KAFKA__SASL_PASSWORD": password}):
            assert revealed(settings.load(), "sasl_password") == password


class TestRefused:
    """A misplaced secret is refused, and not repeated."""

    def test_in_the_file(self, secret: str, tmp_path: Path) -> None:
        """YAML may not hold it; the message says what to do instead."""
        (tmp_path / "c.yaml").write_text(f"kafka: {{{secret}: {CANARY}}}", "utf-8")
        with pytest.raises(InvalidSettings) as caught:
            settings.load(tmp_path / "c.yaml")
        assert f"TIDEMILL__KAFKA__{secret.upper()}" in str(caught.value)
        assert f"kafka.{secret}_file" in str(caught.value)
        assert CANARY not in trace(caught.value)

    def test_twice(self, secret: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Setting both the secret and its file is refused."""
        (tmp_path / "secret").write_text("other", "utf-8")
        monkeypatch.setenv(f"TIDEMILL__KAFKA__{secret.upper()}", CANARY)
        monkeypatch.setenv(f"TIDEMILL__KAFKA__{secret.upper()}_FILE", str(tmp_path / "secret"))
        with pytest.raises(InvalidSettings, match=f"{secret} and {secret}_file") as caught:
            settings.load()
        assert CANARY not in trace(caught.value)

    def test_file_missing(self, secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """A missing file is an error that names it."""
        monkeypatch.setenv(f"TIDEMILL__KAFKA__{secret.upper()}_FILE", "nowhere")
        with pytest.raises(InvalidSettings, match=f"{secret}_file: .*nowhere"):
            settings.load()


class TestSpark:
    """Spark's settings may contain secrets too."""

    @pytest.mark.parametrize(
        "name",
        [
            "spark.hadoop.fs.s3a.secret.key",
            "spark.hadoop.fs.s3a.access.key",
            "spark.hadoop.fs.s3a.session.token",
            "spark.ssl.keyStorePassword",
            "spark.authenticate.SECRET",
        ],
    )
    @pytest.mark.parametrize("value", [CANARY, [CANARY], {"x": CANARY}])
    def test_in_the_file(self, name: str, value: object, tmp_path: Path) -> None:
        """YAML may not hold a setting with a secret's name; the message says what to do instead."""
        document = {"spark": {"spark.ui.enabled": False, name: value}}
        (tmp_path / "c.yaml").write_text(yaml.safe_dump(document), "utf-8")
        with pytest.raises(InvalidSettings) as caught:
            settings.load(tmp_path / "c.yaml")
        assert f"spark.{name} is a secret: set TIDEMILL__SPARK" in str(caught.value)
        assert CANARY not in trace(caught.value)

    def test_variable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A variable may hold it."""
        monkeypatch.setenv("TIDEMILL__SPARK", f'{{"spark.x.password": "{CANARY}"}}')
        assert settings.load().spark == {"spark.x.password": CANARY}

    @pytest.mark.parametrize("name", ["spark.ui.enabled", "spark.executor.memory", "spark.jars"])
    def test_others(self, name: str, tmp_path: Path) -> None:
        """The file may hold other Spark settings."""
        (tmp_path / "c.yaml").write_text(yaml.safe_dump({"spark": {name: "x"}}), "utf-8")
        assert settings.load(tmp_path / "c.yaml").spark == {name: "x"}

    @pytest.mark.parametrize("spark", ["text", ["a"], {1: "x"}, None])
    def test_no_mapping_of_names(self, spark: object, tmp_path: Path) -> None:
        """A section that is not a mapping is an error like any other."""
        (tmp_path / "c.yaml").write_text(yaml.safe_dump({"spark": spark}), "utf-8")
        with pytest.raises(InvalidSettings, match="spark"):
            settings.load(tmp_path / "c.yaml")


def trace(error: BaseException) -> str:
    """Return everything that a log may print of an error."""
    return "".join(traceback.format_exception(error)) + repr(error)


class TestNeverShown:
    """Neither the settings' text nor an error contains a secret."""

    def test_texts(self, secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is not in repr, str or a JSON dump."""
        monkeypatch.setenv(f"TIDEMILL__KAFKA__{secret.upper()}", CANARY)
        loaded = settings.load()
        for text in (repr(loaded), str(loaded), f"{loaded.kafka}", loaded.model_dump_json()):
            assert CANARY not in text
        assert CANARY not in str(loaded.model_dump())

    def test_text_of_a_file(self, secret: str, tmp_path: Path) -> None:
        """The same applies to a secret from a file."""
        (tmp_path / "secret").write_text(CANARY, "utf-8")
        (tmp_path / "c.yaml").write_text(f"kafka: {{{secret}_file: secret}}", "utf-8")
        assert CANARY not in repr(settings.load(tmp_path / "c.yaml"))

    @pytest.mark.parametrize(
        "variables",
        [
            {"KAFKA__SECURITY_PROTOCOL": "nonsense"},
            {"KAFKA__SECURITY_PROTOCOL": "SASL_SSL"},
            {"KAFKA__SASL_MECHANISM": "PLAIN"},
            {"KAFKA__SURPLUS": "1"},
            {"STREAM__GROUP_ID": ""},
            {"NOPE__X": "1"},
            {"STREAM__INPUT_TOPICS": "["},
        ],
    )
    def test_errors(
        self, secret: str, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is not in an error about another setting, nor in its traceback."""
        monkeypatch.setenv(f"TIDEMILL__KAFKA__{secret.upper()}", CANARY)
        for name, value in variables.items():
            monkeypatch.setenv(f"TIDEMILL__{name}", value)
        with pytest.raises(ConfigurationError) as caught:
            settings.load()
        assert CANARY not in trace(caught.value)

    @pytest.mark.parametrize(
        "section",
        [
            f'{{"SECRET": "{CANARY}", "surplus": 1}}',
            f'{{"SECRET": ["{CANARY}"]}}',
            f'{{"SECRET": {{"{CANARY}": 1}}}}',
            f'{{"SECRET": "{CANARY}"',
            f'["{CANARY}"]',
            f'"{CANARY}"',
        ],
    )
    def test_section_as_json(
        self, secret: str, section: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is not in the error about an invalid variable that sets a whole section."""
        monkeypatch.setenv("TIDEMILL__KAFKA", section.replace("SECRET", secret))
        with pytest.raises(InvalidSettings) as caught:
            settings.load()
        assert CANARY not in trace(caught.value)

    def test_wrong_type_in_the_file(self, secret: str, tmp_path: Path) -> None:
        """It is not in the error about a list in the file."""
        document = {"kafka": {secret: [CANARY]}}
        (tmp_path / "c.yaml").write_text(yaml.safe_dump(document), "utf-8")
        with pytest.raises(InvalidSettings) as caught:
            settings.load(tmp_path / "c.yaml")
        assert CANARY not in trace(caught.value)

    def test_broken_file(self, secret: str, tmp_path: Path) -> None:
        """It is not in the error about a syntax error on its line of the file."""
        (tmp_path / "c.yaml").write_text(f"kafka: {{{secret}: {CANARY}: x", "utf-8")
        with pytest.raises(ConfigurationError) as caught:
            settings.load(tmp_path / "c.yaml")
        assert CANARY not in trace(caught.value)

    def test_json_is_masked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A dump contains the field, but masked."""
        monkeypatch.setenv("TIDEMILL__KAFKA__SASL_PASSWORD", CANARY)
        dumped = json.loads(settings.load().model_dump_json())
        assert set(dumped["kafka"]["sasl_password"]) == {"*"}
