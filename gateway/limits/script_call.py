"""Calling a script by its digest, and bringing it to a Redis that does not know it yet or no longer does."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

from redis.exceptions import NoScriptError, RedisError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis.asyncio import Redis, RedisCluster


@dataclass(frozen=True, slots=True)
class Script:
    """`sha`: 40 hexadecimal digits, by which Redis knows it."""

    text: str
    sha: str

    @classmethod
    def of(cls, text: str) -> Script:
        return cls(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())

    @classmethod
    def in_package(cls, package: str, name: str) -> Script:
        """Reads a file that the package carries."""
        return cls.of(resources.files(package).joinpath(name).read_text(encoding="utf-8"))


@functools.cache
def quota_script() -> Script:
    return Script.in_package("gateway.limits", "quota.lua")


async def run_script(
    client: Redis | RedisCluster, script: Script, keys: Sequence[str], arguments: Sequence[bytes]
) -> Any:
    """What the script answers. It is sent whole only where Redis does not know it: started anew, flushed, failed over.

    Raises:
        RedisError: whatever the client raises but NoScriptError. A script refused for want of memory or by a replica
            was refused whole: it wrote nothing.
    """
    try:
        return await client.evalsha(script.sha, len(keys), *keys, *arguments)
    except NoScriptError:
        return await client.eval(script.text, len(keys), *keys, *arguments)


async def run_scripts(
    client: Redis | RedisCluster, script: Script, calls: Sequence[tuple[Sequence[str], Sequence[bytes]]]
) -> list[Any]:
    """Several calls in one round trip (to each node of a cluster), each with its own answer or RedisError, in order.

    The calls are independent: one that fails leaves the others alone.

    Raises:
        RedisError: no call was answered.
    """
    pipeline = client.pipeline(transaction=False) if not _is_cluster(client) else client.pipeline()
    for keys, arguments in calls:
        # Not by its own method: the cluster's pipeline has none for scripts, but takes the command.
        pipeline.execute_command("EVALSHA", script.sha, len(keys), *keys, *arguments)
    answers: list[Any] = await pipeline.execute(raise_on_error=False)
    for place, answer in enumerate(answers):
        if isinstance(answer, NoScriptError):
            keys, arguments = calls[place]
            try:
                answers[place] = await run_script(client, script, keys, arguments)
            except RedisError as error:
                answers[place] = error
    return answers


def _is_cluster(client: Redis | RedisCluster) -> bool:
    return not hasattr(client, "connection_pool")
