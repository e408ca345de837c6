"""Run a real Kafka broker as a child process: one KRaft node, ready in a few seconds."""

from __future__ import annotations

import base64
import signal
import subprocess
import uuid
from typing import TYPE_CHECKING, Final, Self

from dev.kafka.distribution import java_command
from dev.kafka.ports import HOST, free_ports
from dev.kafka.process import spawn, stop, wait_for_line
from dev.kafka.properties import Listeners, Tls, server_properties
from tidemill.errors import TidemillError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

READY: Final = "Kafka Server started"
START_TIMEOUT_S: Final = 300.0
STOP_TIMEOUT_S: Final = 60.0


def new_cluster_id() -> str:
    """Return a new cluster id: 16 random bytes in base64, as Kafka makes it."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[:22]


def free_listeners(port: int | None = None, *, secured: bool = False) -> Listeners:
    """Return listeners on free ports; `port`, if given, is that of the plain-text one."""
    plain, controller, sasl, mtls = free_ports(4)
    plain = port or plain
    return Listeners(plain, controller, sasl, mtls) if secured else Listeners(plain, controller)


class BrokerNotFormatted(TidemillError):
    """Kafka's storage tool could not format the data folder."""

    def __init__(self, output: str) -> None:
        super().__init__(f"Kafka could not format the broker's data folder: {output.strip()}")


class Broker:
    """A broker with its data, its configuration and its log in one folder.

    It listens in plain text. With `tls` it also listens for SASL over TLS, with the passwords of
    `users`, and for clients with certificates. Restarts keep the ports.
    """

    def __init__(
        self,
        folder: Path,
        libs: Path,
        *,
        port: int | None = None,
        tls: Tls | None = None,
        users: Mapping[str, str] | None = None,
        properties: Mapping[str, str] | None = None,
        jvm_options: Sequence[str] = (),
        heap: str = "384m",
        cluster_id: str | None = None,
        listeners: Listeners | None = None,
    ) -> None:
        self.folder = folder
        self.libs = libs
        self.log = folder / "broker.log"
        self._users = users or {}
        self._jvm_options = jvm_options
        self._heap = heap
        self._cluster_id = cluster_id or new_cluster_id()
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0
        self._listeners = listeners or free_listeners(port, secured=tls is not None)
        folder.mkdir(parents=True, exist_ok=True)
        self._config = folder / "server.properties"
        self._config.write_text(
            server_properties(folder / "data", self._listeners, tls, properties or {}), "utf-8"
        )

    @property
    def bootstrap_servers(self) -> str:
        """The plain-text listener's address."""
        return f"{HOST}:{self._listeners.plain}"

    @property
    def sasl_servers(self) -> str:
        """The address for SASL_SSL: SCRAM-SHA-512, and mechanisms that `properties` add."""
        return f"{HOST}:{self._listeners.sasl}"

    @property
    def mtls_servers(self) -> str:
        """The address for SSL with client certificates."""
        return f"{HOST}:{self._listeners.mtls}"

    def start(self, timeout: float = START_TIMEOUT_S) -> None:
        """Start the broker, on its old data if there is any, and wait until it is ready.

        Raises:
            NotReady: It ended or took too long; the message has the end of its log.
            BrokerNotFormatted: Its data folder could not be formatted.
            JavaNotFound: There is no Java.

        """
        self.format()
        self.launch()
        self.wait_until_ready(timeout)

    def launch(self) -> None:
        """Start the broker's process. It is killed when the calling thread ends."""
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        java, *rest = java_command(self.libs, "kafka.Kafka", heap=self._heap, log="INFO")
        self._process = spawn([java, *self._jvm_options, *rest, str(self._config)], self.log)

    def wait_until_ready(self, timeout: float = START_TIMEOUT_S) -> None:
        """Wait until a launched broker is ready; kill it if that fails.

        Raises:
            NotReady: It ended or took too long; the message has the end of its log.

        """
        if self._process is None:
            return
        try:
            wait_for_line(
                self._process, self.log, READY, name="Kafka", timeout=timeout, start=self._log_start
            )
        except BaseException:
            self.kill()
            raise

    def stop(self, timeout: float = STOP_TIMEOUT_S) -> None:
        """Shut the broker down cleanly, if it runs; kill it after the timeout."""
        if self._process is not None:
            stop(self._process, timeout)
            self._process = None

    def wait(self) -> int:
        """Wait until the running broker ends; return its exit status."""
        if self._process is None:
            raise RuntimeError("the broker does not run")
        return self._process.wait()

    def kill(self) -> None:
        """Kill the broker with SIGKILL, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Suspend the broker with SIGSTOP: connections stay open, but nothing answers."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Resume a suspended broker."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def tool(
        self,
        main_class: str,
        *args: str,
        input: str | None = None,  # noqa: A002 - named as in subprocess.run
        timeout: float = START_TIMEOUT_S,
    ) -> subprocess.CompletedProcess[str]:
        """Run one of Kafka's command-line classes and return the completed process.

        Most need `--bootstrap-server`, which this does not add.
        """
        command = [*java_command(self.libs, main_class), *args]
        return subprocess.run(
            command, input=input, capture_output=True, text=True, timeout=timeout, check=False
        )

    def format(self) -> None:
        """Format the data folder, if it is not formatted yet.

        Raises:
            BrokerNotFormatted: Kafka's tool failed.
            JavaNotFound: There is no Java.

        """
        if (self.folder / "data" / "meta.properties").exists():
            return
        # `=`, because an id may begin with a dash.
        arguments = ["format", f"--cluster-id={self._cluster_id}", "--config", str(self._config)]
        for name, password in self._users.items():
            arguments += ["--add-scram", f"SCRAM-SHA-512=[name={name},password={password}]"]
        done = self.tool("kafka.tools.StorageTool", *arguments)
        if done.returncode:
            raise BrokerNotFormatted(done.stderr or done.stdout)

    def __enter__(self) -> Self:
        """Start the broker."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the broker."""
        self.stop()
