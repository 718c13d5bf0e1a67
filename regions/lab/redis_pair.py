"""A region's Redis and its replica: how they are started, and how one takes the place of the other.

Those who use them reach the one that counts through a link. So a failover changes where the link leads, as a service
address or a proxy does in production, and nobody has to be told.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import redis.asyncio
from redis.exceptions import RedisError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_POLL_S = 0.05
_ASK_S = 1.0


def redis_command(host: str, port: int, data: Path, *, replica_of: int | None = None) -> list[str]:
    """How a Redis of the lab is started. `replica_of`: the port of the one on the same host that it follows."""
    command = [
        *("redis-server", "--bind", host, "--port", str(port), "--dir", str(data)),
        *("--save", "", "--appendonly", "yes", "--daemonize", "no", "--logfile", "", "--loglevel", "warning"),
    ]
    if replica_of is not None:
        command += ["--replicaof", f"{host} {replica_of}", "--repl-diskless-sync-delay", "0"]
    return command


async def until_answers(host: str, port: int) -> None:
    """Until it serves."""
    while True:
        if await _is_answering(host, port):
            return
        await asyncio.sleep(_POLL_S)


async def until_in_step(host: str, port: int) -> None:
    """Until a replica has all that its primary had when it began to follow."""
    while True:
        if (await _replication(host, port)).get("master_link_status") == "up":
            return
        await asyncio.sleep(_POLL_S)


async def promote(host: str, port: int) -> None:
    """Make a replica a primary. Raises redis.exceptions.RedisError: it does not answer."""
    client = _client(host, port)
    try:
        await client.replicaof("NO", "ONE")
    finally:
        await client.aclose()


async def is_primary(host: str, port: int) -> bool:
    return (await _replication(host, port)).get("role") == "master"


async def _is_answering(host: str, port: int) -> bool:
    client = _client(host, port)
    try:
        with contextlib.suppress(RedisError, OSError):
            return bool(await client.ping())
    finally:
        await client.aclose()
    return False


async def _replication(host: str, port: int) -> Mapping[str, object]:
    """Empty where it does not answer."""
    client = _client(host, port)
    try:
        with contextlib.suppress(RedisError, OSError):
            found: Mapping[str, object] = await client.info("replication")
            return found
    finally:
        await client.aclose()
    return {}


def _client(host: str, port: int) -> redis.asyncio.Redis:
    return redis.asyncio.Redis(host=host, port=port, socket_timeout=_ASK_S, socket_connect_timeout=_ASK_S)
