"""Commands to the process of the links, without the process."""

from __future__ import annotations

import asyncio

import pytest

from regions.lab.relay_service import RelayService

pytestmark = pytest.mark.integration


async def test_a_link_is_opened_changed_and_asked_by_commands() -> None:
    service = RelayService()
    opened = await service.do({"do": "open", "link": "a", "host": "127.0.0.1", "conditions": {"delay_ms": 1}})
    assert opened["port"] > 0
    changed = [
        {"do": "aim", "to_host": "127.0.0.1", "to_port": 1},
        {"do": "conditions", "conditions": {"jitter_ms": 3}},
        {"do": "darken"},
        {"do": "light"},
        {"do": "reset"},
    ]
    assert [await service.do({"link": "a", **command}) for command in changed] == [{}] * len(changed)
    assert await service.do({"do": "figures"}) == {"links": {"a": {"p50_ms": 0.0, "p99_ms": 0.0}}}
    await service.stop()
    with pytest.raises(OSError, match="onnect"):
        await asyncio.open_connection("127.0.0.1", opened["port"])


@pytest.mark.parametrize(
    "command",
    [
        {"do": "darken", "link": "nobody"},
        {"do": "open", "link": "a", "host": "127.0.0.1", "conditions": {"delay_ms": -1}},
        {"do": "open", "link": "a", "host": "192.0.2.1"},
    ],
)
async def test_what_cannot_be_done_is_answered_with_why(command: dict[str, object]) -> None:
    assert list(await RelayService().do(command)) == ["error"]
