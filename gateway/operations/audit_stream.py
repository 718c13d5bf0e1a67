"""The stream of audit events in a region's Redis. Loaded only where there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.operations.audit import StreamAway
from gateway.operations.audit_event import AuditEvent, decode_event, encode_event
from gateway.redis_link.errors import RedisAway

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis.asyncio import Redis

    from gateway.redis_link.client import RedisLink

MAX_ENTRIES = 10_000
"""About; some 5 MB."""
_FIELD = b"event"


class RedisAuditStream:
    """An AuditStream (gateway.operations.audit)."""

    def __init__(self, link: RedisLink, region: str) -> None:
        self._link = link
        self._key = link.names.audit(region)

    async def append(self, events: Sequence[AuditEvent]) -> None:
        async def add(redis: Redis) -> None:
            pipeline = self._link.pipeline(redis)
            for event in events:
                pipeline.xadd(self._key, {_FIELD: encode_event(event)}, maxlen=MAX_ENTRIES, approximate=True)
            await pipeline.execute()

        try:
            await self._link.ask(add)
        except RedisAway as away:
            raise StreamAway(away.why.value) from away

    async def newest(self, count: int) -> list[AuditEvent]:
        try:
            rows: Any = await self._link.ask(lambda redis: redis.xrevrange(self._key, count=count))
        except RedisAway as away:
            raise StreamAway(away.why.value) from away
        decoded = (decode_event(fields.get(_FIELD, b"")) for _, fields in rows)
        return [event for event in decoded if event is not None]
