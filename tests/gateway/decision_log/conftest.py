"""A key, a directory and a log with small limits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from gateway.decision_log.chain_writer import ChainLimits, ChainWriter
from gateway.decision_log.file_log import FileDecisionLog, wall_clock_ms
from gateway.decision_log.left_behind import writers_seen
from gateway.decision_log.metrics import DecisionLogMetrics
from gateway.decision_log.settings import DecisionLogSettings
from tests.harness.decision_logs import EVERY, signing_keys

MakeLog = Callable[..., FileDecisionLog]


@pytest.fixture(name="directory")
def _directory(tmp_path: Path) -> Path:
    return tmp_path / "decisions"


@pytest.fixture(name="make_log")
def _make_log(directory: Path) -> Iterator[MakeLog]:
    """Started; its settings may be given by name. What is left open is closed."""
    made: list[FileDecisionLog] = []

    def make(writer_id: str = "0123456789abcdef", **given: Any) -> FileDecisionLog:
        settings = DecisionLogSettings(
            directory=directory, **{"checkpoint_records": EVERY, "commit_ms": 1, "min_free_bytes": 0, **given}
        )
        writer = f"eu-1/{writer_id}"
        limits = ChainLimits(
            settings.checkpoint_records,
            settings.checkpoint_s * 1_000,
            settings.rotate_bytes,
            settings.rotate_s * 1_000,
        )
        chain = ChainWriter(
            directory,
            writer,
            limits,
            signing_keys().signer,
            now_ms=wall_clock_ms,
            seen=lambda: writers_seen(directory, but=writer),
        )
        log = FileDecisionLog(chain, settings, DecisionLogMetrics(CollectorRegistry()))
        log.start()
        made.append(log)
        return log

    yield make
    for log in made:
        log.close(2.0)
