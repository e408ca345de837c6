"""`make broker`: run only the demo's broker, without Docker, until Ctrl-C.

Its topics and messages stay in .tidemill/broker for the next run.
"""

from __future__ import annotations

import fcntl
import signal
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

from kafka.errors import KafkaError
from rich.markup import escape

from dev import ROOT
from dev.demo import steps
from dev.demo.console_tools import broker_commands, result_commands, show
from dev.demo.screen import make_console
from dev.kafka.process import NotReady
from dev.kafka.tools import write_tools
from tidemill.errors import TidemillError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rich.console import Console

    from dev.kafka.broker import Broker

FOLDER: Final = ROOT / ".tidemill" / "broker"


class BrokerRunning(TidemillError):
    """Another `make broker` of this clone runs; two would write to the same data."""

    def __init__(self, address: str) -> None:
        super().__init__(
            f"the broker of this clone already runs at {address or 'an address to come'}",
            hint="Use that one, or stop it with Ctrl-C first.",
        )


def main() -> int:
    """Run the broker; return 0 after Ctrl-C or SIGTERM."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console = make_console()
    try:
        with ExitStack() as running:
            broker = start(console, running)
            console.print("\n[bold]running until Ctrl-C[/]")
            raise NotReady("the broker", f"ended with status {broker.wait()}", broker.log)
    except KeyboardInterrupt:
        console.print("\nthe broker is stopped; its data stays in .tidemill/broker")
    except (TidemillError, KafkaError, OSError) as error:
        text = escape("\n".join([str(error) or repr(error), *getattr(error, "__notes__", ())]))
        console.print(f"[bold red]no broker:[/] {text}", soft_wrap=True)
        return 1
    return 0


def start(console: Console, running: ExitStack) -> Broker:
    """Start the broker, create the shipped topics, and print commands.

    Raises:
        BrokerRunning: Another process has started the broker on this data.

    """
    libs = steps.fetch(console)
    address = running.enter_context(lock(FOLDER))
    broker = steps.start_broker(console, running, FOLDER, libs)
    address.write_text(broker.bootstrap_servers, "utf-8")
    steps.make_topics(console, broker)
    show(
        console,
        broker_commands(broker, steps.TOPICS, write_tools(libs))
        | {"start the shipped job, in this folder": "tidemill stream"}
        | result_commands(broker, steps.TOPICS),
    )
    return broker


@contextmanager
def lock(folder: Path) -> Iterator[Path]:
    """Hold the data folder's lock; yield the file that tells others the broker's address.

    The kernel releases the lock if this process is killed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "address").open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise BrokerRunning(file.read()) from None
        file.truncate(0)
        yield folder / "address"


if __name__ == "__main__":
    sys.exit(main())
