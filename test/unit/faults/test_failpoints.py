from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

import pytest

from faults.failpoints import Orders, Taken

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def orders(tmp_path: Path) -> Orders:
    """A folder for orders."""
    found = Orders(tmp_path / "orders")
    assert found.environment(tmp_path / "checkpoint") == {"FAULTS_ORDERS": str(found.folder)}
    return found


class TestLaid:
    """An order waits for one process, and leaves nothing."""

    def test_nobody_comes(self, orders: Orders) -> None:
        """What nobody took is withdrawn."""
        looks = []
        with orders.laid("before-send", "worker", 0.05, lambda: looks.append(1)) as taken:
            assert taken is None
        assert looks
        assert [path.name for path in orders.folder.iterdir()] == ["checkpoint"]

    def test_taken_and_let_go(self, orders: Orders) -> None:
        """Who takes it is known; who is held there is let go at the end."""
        let_go = threading.Event()

        def take() -> None:
            order = orders.folder / "before-send.order"
            while not order.exists():
                pass
            order.rename(orders.folder / "before-send.7")
            noted = orders.folder / "before-send.noted"
            noted.write_text(json.dumps({"pid": 7, "time": 1.5}))
            noted.rename(orders.folder / "before-send.taken")
            while not (orders.folder / "before-send.release").exists():
                pass
            let_go.set()

        process = threading.Thread(target=take)
        process.start()
        with orders.laid("before-send", "group", 60) as taken:
            assert taken == Taken(7, 1.5)
            assert not let_go.is_set()
        process.join(60)
        assert let_go.is_set()
        assert [path.name for path in orders.folder.iterdir()] == ["checkpoint"]
