"""What others wrote cannot do harm, and tokens stay where they belong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import browser
import pytest
import server_process
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playwright.sync_api import expect
from test_command import copied, run  # noqa: F401

if TYPE_CHECKING:
    from collections.abc import Iterator

    from browser import Tab
    from playwright.sync_api import Browser
    from server_process import Server
