"""A gateway whose sessions are limited: with a redis-server, a plans file and a journal of its own."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.benchmarks.targets import running_gateway
from tests.harness.redis_server import RedisServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.benchmarks.targets import Issuer, Target

REDIS = shutil.which("redis-server")
_LEVEL = """
compute_seconds_per_second = 9_000
compute_seconds_burst = 1_000_000
max_sessions = 1_000_000
session_starts_per_second = 9_000
session_starts_burst = 1_000_000
"""
_PLANS = 'default_plan = "ample"\n\n[plans.ample]\n' + "".join(
    f"\n[plans.ample.{level}]{_LEVEL}" for level in ("org", "project", "key")
)
"""Every level is limited, and no session ever has to wait."""


@contextlib.contextmanager
def running_limited_gateway(issuer: Issuer, scratch: Path, *, slots: int) -> Iterator[Target]:
    """All settings of the limits are as they are by default; Redis keeps an append-only file, synced each second."""
    scratch.mkdir()
    plans = scratch / "plans.toml"
    plans.write_text(_PLANS)
    redis = RedisServer(scratch / "redis", is_durable=True).start()
    try:
        with running_gateway(
            issuer,
            scratch,
            slots=slots,
            limits__redis={"urls": [redis.url]},
            limits__journal={"directory": str(scratch / "journal")},
            limits__plans_file=str(plans),
        ) as gateway:
            yield replace(gateway, pids={**gateway.pids, "redis": redis.pid}, redis_port=redis.port)
    finally:
        redis.stop()
