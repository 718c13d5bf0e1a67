"""The one place where clients of Redis are made and where their errors become ours.

These must stay true:
  - No call is made again by itself, and none takes longer than its time: the caller knows what may be repeated.
  - A server that is met for the first time after the first acquaintance (started anew, promoted) raises `losses`:
    it may lack what was written last.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar, cast

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, ResponseError

from gateway.redis_link.errors import LIBRARY_ERRORS, AwayReason, RedisAway, away_reason
from gateway.redis_link.keys import Names

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gateway.redis_link.settings import RedisSettings

Answer = TypeVar("Answer")
_MAX_CALLS = 32
"""Calls under way at once, and so connections to a server; more wait for their turn."""
_MAX_BACKOFF_MS = 5_000
_deadline: ContextVar[tuple[asyncio.Timeout, int]] = ContextVar("deadline")
"""Of the call that the current task makes, and how long it may take once it has a connection."""
_NEW_CONNECTIONS = frozenset(
    {AwayReason.unreachable, AwayReason.read_only, AwayReason.cluster_down, AwayReason.refused}
)
"""After these the name may lead elsewhere by now."""


class RedisLink:
    """Redis as one process of ours sees it. Made within a running loop; `aclose` at the end."""

    def __init__(self, settings: RedisSettings, *, client_name: str = "patchbay") -> None:
        self.names = Names(settings.prefix)
        self.losses = 0
        """How often a server was met that may have lost data. A number that changes, not one that counts."""
        self.on_loss: Callable[[], None] = lambda: None
        """Called at each such meeting."""
        self._settings = settings
        self._client_name = client_name
        self._turns = asyncio.Semaphore(_MAX_CALLS)
        self._known: set[str] = set()
        self._is_acquainted = False
        self._client = self._make()

    async def ask(self, call: Callable[[Redis], Awaitable[Answer]], *, timeout_ms: int | None = None) -> Answer:
        """Make a call. A cluster's client is handed over as if it were a single server's: what is used is the same.

        Args:
            timeout_ms: for the answer; as the settings say by default. As long again may be waited for a turn, and
                where a connection has to be made first, that may take its own time.

        Raises:
            RedisAway: there was no answer, or not one that could be used.
            NoScriptError: of the library, as it is: the caller has the script.
        """
        allowed_ms = self._settings.call_timeout_ms if timeout_ms is None else timeout_ms
        await self._turn(allowed_ms)
        client = self._client
        try:
            async with asyncio.timeout(allowed_ms / 1_000) as deadline:
                _deadline.set((deadline, allowed_ms))
                return await call(cast("Redis", client))
        except (*LIBRARY_ERRORS, TimeoutError) as error:
            if isinstance(error, NoScriptError):
                raise
            why = away_reason(error)
            if why in _NEW_CONNECTIONS:
                await self._replace(client)
            raise RedisAway(why, _without_secrets(error)) from error
        finally:
            self._turns.release()

    async def _turn(self, allowed_ms: int) -> None:
        try:
            async with asyncio.timeout(allowed_ms / 1_000):
                await self._turns.acquire()
        except TimeoutError as error:
            raise RedisAway(AwayReason.timed_out, "too many calls", was_asked=False) from error

    async def probe(self, org: str) -> None:
        """Ask whether writing works, at the server that keeps the keys of `org`, and learn who answers.

        Raises:
            RedisAway: it does not.
        """
        key = self.names.probe(org)
        await self.ask(lambda redis: self._probe(redis, key))
        self._is_acquainted = True

    async def _probe(self, redis: Redis, key: str) -> None:
        if isinstance(self._client, RedisCluster):
            # Opens a connection to each, and so learns its name.
            await self._client.execute_command("PING", target_nodes=RedisCluster.PRIMARIES)
        await redis.set(key, 1, px=60_000)

    def pipeline(self, redis: Redis) -> Any:
        """Commands in one round trip, each for itself. `redis`: what `ask` hands over."""
        # A cluster's pipeline knows no other way, and takes no argument.
        return redis.pipeline() if self._settings.is_cluster else redis.pipeline(transaction=False)

    async def drop(self) -> None:
        """Close all connections: the next call resolves the name anew. Calls under way fail."""
        await self._replace(self._client)

    async def aclose(self) -> None:
        await _close(self._client, self._settings.call_timeout_ms)

    async def _replace(self, client: Redis | RedisCluster) -> None:
        if client is self._client:
            self._client = self._make()
            await _close(client, self._settings.call_timeout_ms)

    def _make(self) -> Redis | RedisCluster:
        settings = self._settings
        options: dict[str, Any] = {
            "socket_connect_timeout": settings.connect_timeout_ms / 1_000,
            "socket_timeout": None,  # each call has a deadline of its own
            "retry": Retry(NoBackoff(), 0),
            "driver_info": None,
            "protocol": 2,
        }
        if not settings.is_cluster:
            url = settings.urls[0].get_secret_value()
            return Redis.from_url(url, redis_connect_func=self._greet, **options)
        first = dict(parse_url(settings.urls[0].get_secret_value()))
        secure = first.pop("connection_class", None) is not None
        first.pop("db", None)
        first.pop("host", None)
        first.pop("port", None)
        nodes = []
        for one in settings.urls:
            where = parse_url(one.get_secret_value())
            nodes.append(ClusterNode(where.get("host", "localhost"), where.get("port", 6379)))
        if secure:
            options |= {"ssl": True, "ssl_min_version": ssl.TLSVersion.TLSv1_2}
        cluster = RedisCluster(startup_nodes=nodes, require_full_coverage=False, **{**options, **first})
        # The constructor takes no such function; every node, known or discovered, is made with these options.
        cluster.connection_kwargs["redis_connect_func"] = self._greet
        for node in cluster.startup_nodes:
            node.connection_kwargs["redis_connect_func"] = self._greet
        return cluster

    async def _greet(self, connection: Any) -> None:
        """Every new connection asks who is there. A server that may not be asked that stays unknown."""
        loop = asyncio.get_running_loop()
        deadline, allowed_ms = _deadline.get()
        deadline.reschedule(loop.time() + self._settings.connect_timeout_ms / 1_000)
        await connection.on_connect()
        await connection.send_command("CLIENT", "SETNAME", self._client_name, check_health=False)
        await connection.send_command("INFO", "server", "replication", check_health=False)
        answers = []
        for _ in range(2):
            try:
                answers.append(await connection.read_response())
            except ResponseError:
                answers.append(b"")
        fields = dict(line.split(":", 1) for line in answers[1].decode().splitlines() if ":" in line)
        self._met(f"{fields.get('run_id', '')}:{fields.get('master_replid', '')}")
        deadline.reschedule(loop.time() + allowed_ms / 1_000)

    def _met(self, server: str) -> None:
        if server in self._known:
            return
        if self._is_acquainted:
            self.losses += 1
            self.on_loss()
        if not self._settings.is_cluster:
            self._known.clear()
        self._known.add(server)


def reconnect_after_ms(attempt: int, *, first_ms: int = 50) -> int:
    """How long to wait before the next attempt: doubling, bounded, and each gateway another time (half to whole)."""
    whole_ms = min(first_ms << min(attempt, 16), _MAX_BACKOFF_MS)
    return random.randint(whole_ms // 2, whole_ms)


def _without_secrets(error: BaseException) -> str:
    """The kind of error alone: texts of the library can name addresses and what was sent."""
    return type(error).__name__


async def _close(client: Redis | RedisCluster, timeout_ms: int) -> None:
    try:
        async with asyncio.timeout(timeout_ms / 1_000):
            await client.aclose()
    except (*LIBRARY_ERRORS, TimeoutError):
        return  # it is gone all the same
