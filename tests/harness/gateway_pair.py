"""Two gateways of one region, processes that share a Redis and an engine, and clients that go from one to the other."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.cli.audio_source import KeptAudio
from gateway.cli.resuming import Endpoint, Resumed, ResumeRules, ResumingSession
from gateway.dev_certificates import create_or_renew
from gateway.dev_keys import DEV_ALGORITHM, DEV_AUDIENCE, DEV_ISSUER, DevClaims, create_or_load
from gateway.resumption.token_keys import create_key_file
from gateway.settings import as_environment
from gateway.wire.messages import AudioSpec, ErrorMessage, FinalMessage, Finished, Start, Started
from tests.harness.engine import running_engine
from tests.harness.ports import free_port
from tests.harness.redis_server import RedisServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from gateway.wire.messages import ServerMessage
    from tests.harness.certificates import Authority

ROOT = Path(__file__).parents[2]
_READY_S = 120.0
_SIGNED_HOST = "localhost"
_PLANS = """
default_plan = "one"

[plans.one]
when_exhausted = "throttle"
when_limiter_away = "open"
max_session_ms = 3_600_000

[plans.one.org]
max_sessions = 1
"""
QUICK = ResumeRules(first_delay_ms=50, max_delay_ms=500, give_up_ms=20_000, silent_ms=2_000, open_ms=3_000)


class GatewayPair:
    """Gateways `a` and `b`; each names the other, then itself, to its clients. Every org may have one session.

    `authority`: signs for WebTransport at `localhost`. Those in `without_udp` serve none, though it is named.
    """

    def __init__(
        self,
        folder: Path,
        redis: RedisServer,
        engine: str,
        *,
        region_of: dict[str, str] | None = None,
        has_webtransport: bool = False,
        authority: Authority | None = None,
        without_udp: str = "",
    ) -> None:
        self.folder = folder
        self.redis = redis
        self.keys = create_or_load(folder / "state")
        self._engine = engine
        self._region_of = region_of or {}
        self._certificate: tuple[Path, Path] | None = None
        if authority is not None:
            files = authority.issue(_SIGNED_HOST)
            self._certificate = files.certificate_file, files.key_file
        elif has_webtransport:
            own = create_or_renew(folder)
            self._certificate = own.certificate_file, own.key_file
        self._webtransport_host = "127.0.0.1" if authority is None else _SIGNED_HOST
        self._without_udp = without_udp
        self.ready: dict[str, dict[str, Any]] = {}
        """What each gateway printed when it was."""
        self._ports = {name: (free_port(), free_port(), free_port(), free_port()) for name in "ab"}
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        (folder / "plans.toml").write_text(_PLANS)
        create_key_file(folder / "resume.keys")

    def url(self, name: str, protocol: str) -> str:
        http, grpc, _, quic = self._ports[name]
        if protocol == "webtransport":
            return f"https://{self._webtransport_host}:{quic}/v1/stream"
        return f"ws://127.0.0.1:{http}/v1/stream" if protocol == "ws" else f"grpc://127.0.0.1:{grpc}"

    def pid(self, name: str) -> int:
        return self._processes[name].pid

    def token(self, tenant: str, **claims: Any) -> str:
        return self.keys.mint(DevClaims(tenant=tenant, **claims), ttl_s=600, now_s=int(time.time()))

    async def start(self, name: str) -> None:
        http, grpc, admin, quic = self._ports[name]
        protocols = ("ws", "grpc") if self._certificate is None else ("ws", "grpc", "webtransport")
        other = "b" if name == "a" else "a"
        issuer = {
            "issuer": DEV_ISSUER,
            "audience": DEV_AUDIENCE,
            "algorithms": [DEV_ALGORITHM],
            "static_keys": self.keys.jwks()["keys"],
        }
        settings: dict[str, Any] = {
            "region": self._region_of.get(name, "here"),
            "http": {"host": "127.0.0.1", "port": http},
            "grpc": {"host": "127.0.0.1", "port": grpc},
            "admin": {"host": "127.0.0.1", "port": admin},
            "engines": {"addresses": [self._engine]},
            "tokens": {"issuers": [issuer]},
            "limits": {
                "redis": {"urls": [self.redis.url], "connect_timeout_ms": 2_000, "call_timeout_ms": 2_000},
                "journal": {"directory": str(self.folder / name)},
                "plans_file": str(self.folder / "plans.toml"),
            },
            "resumption": {
                "key_file": str(self.folder / "resume.keys"),
                "resume_at": [self.url(each, protocol) for each in (other, name) for protocol in protocols],
            },
            "drain": {"finish_ms": 0},
        }
        if self._certificate is not None and name not in self._without_udp:
            certificate_file, key_file = map(str, self._certificate)
            settings["webtransport"] = {
                "host": "127.0.0.1",
                "port": quic,
                "tls": {"certificate_file": certificate_file, "key_file": key_file},
                "public_url": self.url(name, "webtransport"),
            }
        with (self.folder / f"{name}.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "gateway", "--json", "--exit-with-parent"),
                cwd=ROOT,
                env=os.environ | as_environment(settings),
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        self._processes[name] = process
        assert process.stdout is not None
        async with asyncio.timeout(_READY_S):
            line = await process.stdout.readline()
        assert line, (self.folder / f"{name}.log").read_text(errors="replace")[-4_000:]
        self.ready[name] = json.loads(line)

    async def kill(self, name: str) -> None:
        """SIGKILL."""
        self._processes[name].kill()
        await self._processes[name].wait()

    def events(self, name: str, event: str) -> list[dict[str, Any]]:
        """Lines of its log."""
        rows = [json.loads(line) for line in (self.folder / f"{name}.log").read_text().splitlines() if line[:1] == "{"]
        return [row for row in rows if row.get("event") == event]

    async def stop(self) -> None:
        for process in self._processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.terminate()
        for process in self._processes.values():
            try:
                async with asyncio.timeout(20):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()


@contextlib.asynccontextmanager
async def gateway_pair(
    folder: Path, *, has_webtransport: bool = False, authority: Authority | None = None, without_udp: str = ""
) -> AsyncIterator[GatewayPair]:
    """Both run, with an engine of scripted words. `has_webtransport`, `authority`: and each with an edge process."""
    redis = RedisServer(folder / "redis").start()
    try:
        async with running_engine(folder, "--recogniser", "scripted") as engine:
            pair = GatewayPair(
                folder,
                redis,
                engine.address,
                has_webtransport=has_webtransport,
                authority=authority,
                without_udp=without_udp,
            )
            try:
                await asyncio.gather(pair.start("a"), pair.start("b"))
                yield pair
            finally:
                await pair.stop()
    finally:
        redis.stop()


@dataclass
class Talker:
    """A client of our own, and all that it was shown. `end`: the last message."""

    shown: list[ServerMessage | Resumed] = field(default_factory=list)
    end: Finished | ErrorMessage | None = None

    @property
    def words(self) -> list[str]:
        return [word.text for message in self.shown if isinstance(message, FinalMessage) for word in message.words]

    @property
    def resumptions(self) -> list[Resumed]:
        return [message for message in self.shown if isinstance(message, Resumed)]

    @property
    def started(self) -> list[Started]:
        return [message for message in self.shown if isinstance(message, Started)]

    async def talk(
        self, endpoint: Endpoint, pieces: Sequence[bytes], *, speed: float, rules: ResumeRules = QUICK
    ) -> None:
        """Pieces of 100 ms, 16 kHz, so many times as fast as spoken."""

        async def coming() -> AsyncIterator[bytes]:
            began_s = time.monotonic()
            for number, piece in enumerate(pieces):
                await asyncio.sleep(max(0.0, began_s + number * 0.1 / speed - time.monotonic()))
                yield piece

        source = KeptAudio(AudioSpec(), coming())
        self.end = await ResumingSession(endpoint, Start(), source, self.shown.append, rules=rules).run()
