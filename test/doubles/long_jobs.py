"""Jobs of every kind: quick, long, failing, hanging, deadly."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tidemill.tasks.report import Report


@dataclass
class Parameters:
    """A number of steps, and a file that gets a line for each begin and each end."""

    steps: int
    file: str = ""
    seconds: float = 0.05


class Count:
    """Counts slowly."""

    def __init__(self, factor: int = 1) -> None:
        self._factor = factor

    def run(self, parameters: Parameters, report: Report) -> dict[str, int]:
        """Return the number of steps, times the factor."""
        note(parameters.file, "begin")
        for step in range(parameters.steps):
            time.sleep(parameters.seconds)
            report((step + 1) / parameters.steps, f"step {step + 1}")
        note(parameters.file, "end")
        return {"steps": parameters.steps * self._factor}


class Improve:
    """Reports better and better results, and may fail in the end."""

    def run(self, parameters: dict[str, Any], report: Report) -> dict[str, Any]:
        """Return who it is; wait for a file if there is one to wait for."""
        for best in range(3):
            report(0.5, f"best {best}", {"best": best})
        while "file" in parameters and not Path(parameters["file"]).exists():
            time.sleep(0.05)
        if parameters.get("fails"):
            raise ValueError("no time left")
        return {"run": report.run, "attempt": report.attempt}


@dataclass
class Product:
    """A product, made of others."""

    name: str
    parts: list[Product]


@dataclass
class Products:
    """Products for a shelf."""

    products: list[Product]


class Shelf:
    """Takes parameters within parameters."""

    def run(self, parameters: Products, report: Report) -> list[str]:
        """Return the names."""
        return [product.name for product in parameters.products]


class Fail:
    """Raises an error."""

    def run(self, parameters: dict[str, Any], report: Report) -> None:
        """Fail."""
        raise ValueError("no shelf is long enough")


class Hang:
    """Does not end, not even when it is asked to, and starts a program that does not either."""

    def run(self, parameters: dict[str, Any], report: Report) -> None:
        """Write the ids of both processes into a file, and wait for ever."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sleeper = subprocess.Popen(["sleep", "600"])
        Path(parameters["file"]).write_text(f"{os.getpid()} {sleeper.pid}", "utf-8")
        report(0.5, "hanging")
        while True:
            time.sleep(1)


class Tidy:
    """Cleans up when it is cancelled."""

    def run(self, parameters: dict[str, Any], report: Report) -> None:
        """Wait for ever, but leave a file."""
        try:
            report(0.1, "waiting")
            time.sleep(600)
        finally:
            note(parameters["file"], "cancelled" if report.cancelled else "stopped")


class Talk:
    """Reports from several threads, even while it returns."""

    def run(self, parameters: dict[str, Any], report: Report) -> str:
        """Return a long text."""

        def talk() -> None:
            while True:
                report(0.5, "x" * 200, "y" * 100_000)

        for _ in range(3):
            threading.Thread(target=talk, daemon=True).start()
        time.sleep(0.2)
        return "z" * 500_000


class Dawdle:
    """Takes its time when it is to end, and has a result then."""

    def run(self, parameters: dict[str, Any], report: Report) -> str:
        """Wait for ever; once asked to end, leave a file, and wait for another one."""
        try:
            report(0.1, "waiting")
            time.sleep(600)
        except SystemExit:
            note(parameters["file"], "ending")
            while not Path(parameters["file"] + ".go").exists():
                time.sleep(0.05)
        return "late"


class Die:
    """Kills its own process, as the kernel does if memory is short."""

    def run(self, parameters: dict[str, Any], report: Report) -> None:
        """Die, or kill the worker, too."""
        if parameters.get("worker"):
            os.kill(os.getppid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)


class Odd:
    """Returns what is asked for."""

    def run(self, parameters: dict[str, Any], report: Report) -> Any:  # noqa: ANN401
        """Return something long, something that JSON lacks, or report something odd."""
        if "length" in parameters:
            return "x" * parameters["length"]
        if "best" in parameters:
            report(0.5, "", "x" * parameters["best"])
        if "phrase" in parameters:
            report(float("nan"), parameters["phrase"])
            return parameters["phrase"]
        return object()


def note(file: str, text: str) -> None:
    """Append a line to a file, whole even if several processes do it at once."""
    if file:
        with Path(file).open("a", encoding="utf-8") as opened:
            opened.write(f"{text}\n")
