"""Commands to the process of the links, without the process."""

from __future__ import annotations

import socket

import pytest

from regions.lab.relay_service import RelayService
from tests.harness.waiting import until

pytestmark = pytest.mark.integration


def is_free(port: int, *, is_udp: bool) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM if is_udp else socket.SOCK_STREAM) as other:
        try:
            other.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@pytest.mark.parametrize("is_udp", [False, True])
async def test_a_link_is_opened_changed_and_asked_by_commands(*, is_udp: bool) -> None:
    service = RelayService()
    command = {"do": "open", "link": "a", "host": "127.0.0.1", "conditions": {"delay_ms": 1}, "is_udp": is_udp}
    opened = await service.do(command)
    assert opened["port"] > 0
    changed: list[dict[str, object]] = [
        {"do": "aim", "to_host": "127.0.0.1", "to_port": 1},
        {"do": "conditions", "conditions": {"jitter_ms": 3}},
        {"do": "darken"},
        {"do": "light"},
        {"do": "reset"},
    ]
    assert [await service.do({"link": "a", **command}) for command in changed] == [{}] * len(changed)
    assert await service.do({"do": "figures"}) == {"links": {"a": {"p50_ms": 0.0, "p99_ms": 0.0}}}
    await service.stop()
    await until(lambda: is_free(opened["port"], is_udp=is_udp), what="the end of the link")


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
