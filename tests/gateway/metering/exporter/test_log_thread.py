"""The sent log on a thread of its own."""

from __future__ import annotations

import sqlite3
import threading
from typing import TYPE_CHECKING

import pytest

from gateway.metering.exporter.log_thread import LogThread

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit


async def test_calls_are_made_beside_the_loop_and_their_errors_come_back(tmp_path: Path) -> None:
    thread = LogThread(tmp_path)
    assert await thread.ask(lambda log: log.count_dead("s")) == 0
    assert await thread.ask(lambda _log: threading.current_thread() is not threading.main_thread())

    def fail(_log: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with pytest.raises(sqlite3.OperationalError):
        await thread.ask(fail)
    await thread.aclose()
