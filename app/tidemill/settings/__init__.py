"""Every setting in one validated object: defaults, then a YAML file, then the environment.

Environment variables are named `TIDEMILL__SECTION__NAME`; lists and mappings are JSON. An unknown
key is an error that names it. Secrets come from the environment or from files that
`*_file` settings name, never from the YAML file, and never appear in a message.
"""

from tidemill.settings.kafka import KafkaSettings
from tidemill.settings.loader import default_file, load, load_program
from tidemill.settings.monitoring import MonitoringSettings
from tidemill.settings.pool import PoolSettings
from tidemill.settings.root import (
    ExplainProgram,
    FollowProgram,
    LogSettings,
    Program,
    ServeProgram,
    Settings,
    StoreProgram,
    TopicsProgram,
)
from tidemill.settings.serving import ServingSettings
from tidemill.settings.store import StoreSettings, TableSettings
from tidemill.settings.stream import StreamSettings

__all__ = [
    "ExplainProgram",
    "FollowProgram",
    "KafkaSettings",
    "LogSettings",
    "MonitoringSettings",
    "PoolSettings",
    "Program",
    "ServeProgram",
    "ServingSettings",
    "Settings",
    "StoreProgram",
    "StoreSettings",
    "StreamSettings",
    "TableSettings",
    "TopicsProgram",
    "default_file",
    "load",
    "load_program",
]
