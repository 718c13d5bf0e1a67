"""A gateway process with WebTransport: what it tells, what it serves there, and its way out with all its processes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from typing import TYPE_CHECKING

import aiohttp
import psutil
import pytest

from gateway.cli.connection import TransportChoice, connect
from gateway.cli.webtransport_connection import WebTransportChoices
from gateway.webtransport.client.trust import CertificateHash
from gateway.wire.messages import Audio, ErrorMessage, Finish, Finished, Start, Started
from tests.gateway.test_serve import certificate_in, engine_of, gateway_of
from tests.harness.http3_client import ask_over_http3
from tests.harness.region import is_gone
from tests.harness.waiting import until, until_true

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.cli.connection import Connection
    from gateway.wire.messages import ServerMessage
    from tests.gateway.test_serve import Gateway

pytestmark = pytest.mark.integration

DEADLINE_S = 60
PCM_100_MS = b"\x01\x00" * 1_600


def session_of(gateway: Gateway) -> contextlib.AbstractAsyncContextManager[Connection]:
    trust = CertificateHash((gateway.ready["webtransport_certificate_sha256"],))
    return connect(
        gateway.ready["webtransport"],
        gateway.token(),
        protocol=TransportChoice.webtransport,
        webtransport=WebTransportChoices(trust),
    )


async def all_of(connection: Connection) -> list[ServerMessage]:
    async with asyncio.timeout(DEADLINE_S):
        return [message async for message in connection.messages()]


async def test_it_is_told_served_watched_and_drained(tmp_path: Path) -> None:
    """One test, because processes take their time to start."""
    pair = certificate_in(tmp_path / "tls")
    settings = {"webtransport__port": 0, "webtransport__tls": pair.setting}
    more = {"drain__finish_ms": 40_000, "http__tls": pair.setting}
    async with (
        engine_of(tmp_path),
        gateway_of(tmp_path, **settings, **more) as gateway,
        aiohttp.ClientSession() as http,
    ):
        ready = gateway.ready
        address = ready["webtransport"]
        port = int(address.removesuffix("/v1/stream").rpartition(":")[2])
        assert address == f"https://127.0.0.1:{port}/v1/stream"
        edges = [child.pid for child in psutil.Process(gateway.process.pid).children()]
        assert len(edges) == 1

        async def is_ready() -> bool:
            async with http.get(f"{ready['http']}/readyz", ssl=pair.client_context) as response:
                assert response.headers["Alt-Svc"] == f'h3=":{port}"; ma=3600'
                return response.status == 200

        await until_true(is_ready)
        for page in ("/healthz", "/readyz", "/v1/regions", "/console", "/console/settings.json"):
            answer = await ask_over_http3(address.replace("/v1/stream", page))
            assert answer.status == 200, page
        told = json.loads(answer.body)
        assert ready["webtransport_certificate_sha256"] in json.dumps(told), "the page can know it by its hash"

        async with session_of(gateway) as client:
            for message in (Start(), Audio(PCM_100_MS), Finish()):
                await client.send(message)
            assert (await all_of(client))[-1] == Finished(100)

        async def has_counted() -> bool:
            async with http.get(ready["metrics"]) as response:
                page = await response.text()
            counted = 'patchbay_sessions_opened_total{transport="webtransport"} 1.0'
            return counted in page and 'sessions_ended_total{by="gateway",process="0"} 1.0' in page

        await until_true(has_counted, what="the figures of the process")

        async with session_of(gateway) as client:
            await client.send(Start())
            await client.send(Audio(PCM_100_MS))
            assert isinstance(await anext(aiter(client.messages())), Started)
            gateway.process.send_signal(signal.SIGTERM)
            last = (await all_of(client))[-1]
        assert isinstance(last, ErrorMessage)
        assert (last.reason, last.retryable) == ("draining", True)
        assert await gateway.end() == 0
        await until(lambda: all(map(is_gone, edges)), what="the end of the edge processes")
