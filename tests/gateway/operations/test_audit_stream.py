"""Audit events in a real Redis: shared by gateways, and a word for why where it does not answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gateway.operations.audit import StreamAway
from gateway.operations.audit_event import Act, AuditEvent
from gateway.operations.audit_stream import RedisAuditStream
from gateway.redis_link.client import RedisLink
from gateway.redis_link.settings import RedisSettings

if TYPE_CHECKING:
    from tests.harness.redis_server import RedisServer

pytestmark = pytest.mark.integration


async def test_what_one_gateway_writes_another_one_reads_newest_first(redis_server: RedisServer) -> None:
    links = [RedisLink(RedisSettings.model_validate({"urls": [redis_server.url]})) for _ in range(2)]
    try:
        one, other = (RedisAuditStream(link, "ie") for link in links)
        events = [AuditEvent(id=str(number), act=Act.stop, outcome="stopped") for number in range(3)]
        await one.append(events[:2])
        await one.append(events[2:])
        assert await other.newest(2) == [events[2], events[1]]
        with redis_server.client() as client:
            client.xadd("patchbay:operations:{ie}:audit", {"event": "of another release"})
        assert await other.newest(2) == [events[2]]
        redis_server.kill()
        with pytest.raises(StreamAway, match="unreachable"):
            await one.append(events)
        with pytest.raises(StreamAway):
            await other.newest(1)
    finally:
        for link in links:
            await link.aclose()
