"""A real exporter process, and usage events written to Redis as the settle script writes them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Self

import aiohttp

from gateway.metering.entries import MS_PER_HOUR, TabLabels, UsageEvent
from gateway.metering.exporter.sent_log import SentLog
from gateway.metering.stream_entries import encode_event
from gateway.redis_link.keys import Names
from tests.harness.metrics import Figures
from tests.harness.region import ROOT
from tests.harness.waiting import until_sync

if TYPE_CHECKING:
    from pathlib import Path

    from tests.harness.redis_server import RedisServer

NAMES = Names("patchbay")
_READY_S = 30.0
_STOP_S = 20.0


def usage_event(
    org: str, number: int, *, at_ms: int | None = None, compute_us: int = 1_000, **labels: Any
) -> UsageEvent:
    """The event of the org's session of that number, which is like no other."""
    said = {"rater": "audio_second", "plan": "free", "project": "p", "key": "0123456789abcdef"} | labels
    return UsageEvent(
        labels=TabLabels(session_id=f"{org}-{number}", org=org, rating_version="000000000001", region="test", **said),
        first=0,
        last=29,
        compute_us=compute_us + number,
        audio_ms=30_000,
        connection_ms=31_000,
        audio_before_ms=0,
        connection_before_ms=0,
        at_ms=now_ms() if at_ms is None else at_ms,
        is_last=True,
    )


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def record(server: RedisServer, *events: UsageEvent) -> None:
    """As the settle script does: into the org's stream and tally."""
    with server.client() as client, client.pipeline(transaction=False) as pipe:
        for event in events:
            org, hour = event.labels.org, event.at_ms // MS_PER_HOUR
            pipe.sadd(NAMES.orgs, org)
            pipe.xadd(NAMES.meter(org), encode_event(event))  # type: ignore[arg-type]
            for name in ("settled_us", "recorded_us"):
                pipe.hincrby(NAMES.tally(org), f"{hour}:{name}", event.compute_us)
            pipe.hincrby(NAMES.tally(org), f"{hour}:events", 1)
        pipe.execute()


class ExporterProcess:
    """`python -m gateway.metering` with settings for tests: quick to poll, to retry and to take over."""

    def __init__(self, folder: Path, redis_url: str, *sinks: dict[str, Any], **settings: Any) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.config = folder / "exporter.json"
        self.log_file = folder / "exporter.log"
        self._settings: dict[str, Any] = {
            "engines": {"addresses": ["unix:/nowhere/engine.sock"]},
            "tokens": {
                "issuers": [{"issuer": "i", "audience": "a", "jwks_url": "https://login.example.com/jwks.json"}]
            },
            "limits": {"redis": {"urls": [redis_url]}, "journal": {"directory": str(folder / "journal")}},
            "metering": {
                "sinks": list(sinks),
                "state_directory": str(self.state),
                "listen": {"port": 0},
                "poll_ms": 20,
                "survey_ms": 100,
                "dead_after_ms": 600,
                "retry": {"first_ms": 20, "max_ms": 200},
                "stop_ms": 5_000,
            }
            | settings,
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.ready: dict[str, Any] = {}

    def under(self, bundle: Path) -> Self:
        """With an unsigned bundle in force, looked at often."""
        self._settings["residency"] = {"bundle": str(bundle), "mode": "development", "check_interval_ms": 50}
        return self

    @property
    def environment(self) -> dict[str, str]:
        """What makes any command of ours use the same settings."""
        tree = {name: json.dumps(value) for name, value in self._settings.items()}
        return {f"PATCHBAY__{name.upper()}": text for name, text in tree.items()}

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        said = self.folder / "said"
        with self.log_file.open("ab") as log, said.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gateway.metering", "--json", "--exit-with-parent"],
                cwd=ROOT,
                env=os.environ | self.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
            )
        until_sync(
            lambda: said.read_bytes().endswith(b"\n") or self._has_ended(), within_s=_READY_S, what="the ready line"
        )
        assert not self._has_ended(), self.log_file.read_text()[-4_000:]
        self.ready = json.loads(said.read_text())
        return self

    def _has_ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def kill(self) -> None:
        """SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        if self.process is None:
            return 0
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(_STOP_S)
        finally:
            self.kill()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_error: object) -> None:
        self.kill()

    async def figures(self) -> Figures:
        async with aiohttp.ClientSession() as http, http.get(self.ready["metrics"]) as answer:
            return Figures(await answer.text())

    @contextlib.contextmanager
    def sent_log(self) -> Any:
        """Its sent log, read beside it."""
        log = SentLog(self.state)
        try:
            yield log
        finally:
            log.close()


def unacknowledged(server: RedisServer, group: str, *orgs: str) -> int:
    """Entries of the orgs' streams that the group has not acknowledged, read or not."""
    with server.client() as client:
        total = 0
        for org in orgs:
            groups = {one["name"]: one for one in client.xinfo_groups(NAMES.meter(org))}
            one = groups.get(group)
            total += client.xlen(NAMES.meter(org)) if one is None else one["pending"] + (one["lag"] or 0)
        return total
