"""A real world under a signed bundle: gateways that may not hear a caller do not, also when he resumes."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from regions.lab.speech import speech
from regions.lab.world import World, running_world
from regions.lab.world_spec import ResidencySpec, WorldSpec

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

WORLD = WorldSpec(regions=2, profiles={"alone": ("west",)}, residency=ResidencySpec())
PIECE_BYTES = 3_200


async def until_said(socket: aiohttp.ClientWebSocketResponse, kind: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while True:
            said: dict[str, Any] = json.loads(await socket.receive_str())
            if said["type"] == kind:
                return said


async def see_that_it_cannot_resume_elsewhere(world: World) -> None:
    (west,), (central,) = world.websockets("west"), world.websockets("central")
    headers = {"Authorization": f"Bearer {world.token(subject='one', profile='alone')}"}
    pcm16 = speech("synthetic", voice=1, duration_ms=4_000)
    async with aiohttp.ClientSession() as http:
        async with http.ws_connect(west, headers=headers) as socket:
            await socket.send_str('{"type":"start"}')
            started = await until_said(socket, "started")
            for at in range(0, len(pcm16), PIECE_BYTES):
                await socket.send_bytes(pcm16[at : at + PIECE_BYTES])
            ack = await until_said(socket, "ack")
            assert all(west.rpartition(":")[0] in url for url in started["resume_at"] if url.startswith("ws"))
            world.table.kill(world.table.members["gateway/west/1"], down_s=0.0)
        resume = {"type": "start", "resume": {"token": started["resume_token"], "from_sample": ack["sample"]}}
        async with http.ws_connect(central, headers=headers) as socket:
            await socket.send_str(json.dumps(resume))
            refused = await until_said(socket, "error")
            assert (refused["reason"], refused["gateways"]) == ("wrong_region", [west])
        for _ in range(200):
            try:
                async with http.ws_connect(west, headers=headers) as socket:
                    await socket.send_str(json.dumps(resume))
                    again = await until_said(socket, "started")
                    break
            except (aiohttp.ClientError, TypeError, TimeoutError):
                await asyncio.sleep(0.1)
        else:
            raise AssertionError("the session could not be resumed where it may be")
        assert again["region"] == "west"
    residency = world.residency
    assert residency is not None
    assert {heard.region for heard in residency.heard() if heard.session == started["session_id"]} == {"west"}


async def test_a_killed_gateways_session_resumes_only_where_it_may_be_heard(tmp_path: Path) -> None:
    async with running_world(WORLD, tmp_path) as world:
        await see_that_it_cannot_resume_elsewhere(world)
