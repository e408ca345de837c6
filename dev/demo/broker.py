"""`make broker`: run only the demo's broker, without Docker, until Ctrl-C.

Its topics and messages stay in .tidemill/broker for the next run.
"""

from __future__ import annotations

import signal
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from kafka.errors import KafkaError
from rich.markup import escape

from dev import ROOT
from dev.demo import steps
from dev.demo.console_tools import broker_commands, show
from dev.demo.screen import make_console
from dev.kafka.tools import write_tools
from tidemill.errors import TidemillError

if TYPE_CHECKING:
    from rich.console import Console

FOLDER: Final = ROOT / ".tidemill" / "broker"


def main() -> int:
    """Run the broker; return 0 after Ctrl-C or SIGTERM."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console = make_console()
    try:
        with ExitStack() as running:
            run(console, running)
    except KeyboardInterrupt:
        console.print("\nthe broker is stopped; its data stays in .tidemill/broker")
    except (TidemillError, KafkaError, OSError) as error:
        text = escape("\n".join([str(error) or repr(error), *getattr(error, "__notes__", ())]))
        console.print(f"[bold red]no broker:[/] {text}", soft_wrap=True)
        return 1
    return 0


def run(console: Console, running: ExitStack) -> None:
    """Start the broker, create the shipped topics, print commands, and wait."""
    libs = steps.fetch(console)
    broker = steps.start_broker(console, running, FOLDER, libs)
    steps.make_topics(console, broker)
    show(console, broker_commands(broker, steps.TOPICS, write_tools(libs)))
    console.print("\n[bold]running until Ctrl-C[/]")
    signal.pause()


if __name__ == "__main__":
    sys.exit(main())
