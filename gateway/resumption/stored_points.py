"""Commit points in one region's Redis: the scripts, as calls. Loaded only where there is one: its client is large."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from gateway.limits.script_call import Script, run_script, run_scripts
from gateway.redis_link.errors import RedisAway, away_reason
from gateway.resumption.interface import StoreAway
from gateway.resumption.point_codec import arguments_of, point_of
from gateway.resumption.settings import FINISHED_TTL_S

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from redis.asyncio import Redis

    from gateway.redis_link.client import RedisLink
    from gateway.resumption.interface import CommitPoint

_AT_ONCE = 200


@functools.cache
def _script(name: str) -> Script:
    return Script.in_package("gateway.resumption", name)


class StoredPoints:
    """Either the region's own sessions (`key_of` is Names.commit), or copies of others' (Names.commit_copy)."""

    def __init__(self, link: RedisLink, key_of: Callable[[str, str], str], *, ttl_s: int) -> None:
        self._link = link
        self._key_of = key_of
        self._ttl_s = ttl_s

    async def write(self, points: Sequence[CommitPoint]) -> list[bool]:
        """For each whether it was kept; False: a later gateway has that session. Raises StoreAway."""
        kept: list[bool] = []
        for first in range(0, len(points), _AT_ONCE):
            some = points[first : first + _AT_ONCE]
            calls = [(self._keys(point), arguments_of(point, ttl_s=self._ttl_s)) for point in some]
            answers = await self._ask(
                lambda redis, calls=calls: run_scripts(redis, _script("commit.lua"), calls)  # type: ignore[misc]
            )
            for answer in answers:
                if isinstance(answer, RedisError):
                    raise StoreAway(away_reason(answer).value)
                kept.append(answer == 1)
        return kept

    async def claim(self, session_id: str, org: str) -> CommitPoint | None:
        """Raises StoreAway."""
        keys, arguments = [self._key_of(org, session_id)], [str(self._ttl_s).encode()]
        answer = await self._ask(lambda redis: run_script(redis, _script("claim.lua"), keys, arguments))
        return None if answer is None else point_of(int(answer[0]), answer[1])

    async def finish(self, points: Sequence[CommitPoint]) -> None:
        """Sessions that are over. Raises StoreAway."""
        calls = [
            (self._keys(point), [str(point.generation).encode(), str(min(FINISHED_TTL_S, self._ttl_s)).encode()])
            for point in points
        ]
        await self._ask(lambda redis: run_scripts(redis, _script("finishing.lua"), calls))

    async def _ask(self, call: Callable[[Redis], Awaitable[Any]]) -> Any:
        try:
            return await self._link.ask(call)
        except RedisAway as away:
            raise StoreAway(away.why.value) from away

    def _keys(self, point: CommitPoint) -> list[str]:
        return [self._key_of(point.org, point.session_id)]
