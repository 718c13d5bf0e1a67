"""Promises of stored words over HTTP: scopes of their own, and nothing at all where nothing is stored."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestClient, TestServer

from gateway.admission.revocation_check import NothingRevoked
from gateway.operations.operators import ERASE, SUPPORT, Operators
from gateway.operations.transcripts_http import TranscriptsHttp
from tests.gateway.operations.operations_world import OperationsWorld
from tests.gateway.operations.test_transcript_acts import ActsWorld
from tests.gateway.transcripts.transcript_world import HERE

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit


async def test_a_gateway_that_stores_nothing_says_so(tmp_path: Path) -> None:
    async with ClientSession() as http:
        world = OperationsWorld(tmp_path, http)
        async with TestClient(TestServer(world.app)) as client:
            assert (await client.get("/v1/transcripts")).status == 401
            answer = await client.get("/v1/transcripts", headers=world.as_("ada", scopes=("support",)))
            assert (answer.status, (await answer.json())["error"]["reason"]) == (404, "no_transcripts")


async def test_words_are_listed_read_and_erased_by_who_may(tmp_path: Path) -> None:
    async with ClientSession() as http:
        world, stored = OperationsWorld(tmp_path / "keys", http), ActsWorld(tmp_path)
        await stored.spoken("guten tag")
        await stored.open_glass()

        def operators(scope: str) -> Operators:
            return Operators(world.verifier, NothingRevoked(), lambda: int(time.time()), scope=scope)

        app = web.Application()
        TranscriptsHttp(operators(SUPPORT), operators(ERASE), stored.acts, here=HERE).add_to(app)
        support, erase = (world.as_("ada", scopes=(scope,)) for scope in ("support", "erase"))
        async with TestClient(TestServer(app)) as client:
            assert (await client.get("/v1/transcripts", headers=erase)).status == 403
            listed = await (await client.get("/v1/transcripts", headers=support)).json()
            assert [one["session"] for one in listed["sessions"]] == ["s1"]
            assert "guten tag" not in str(listed)
            read = await client.get("/v1/transcripts/s1", headers=support)
            assert read.headers["Cache-Control"] == "no-store"
            assert [one["text"] for one in (await read.json())["pieces"][0]["finals"]] == ["guten tag"]
            from_nowhere = await client.get("/v1/transcripts/s1?from=NO", headers=support)
            assert from_nowhere.status == 400
            body = {"project": "acme/clinic", "subject_id": "patient-7", "reason": "art. 17"}
            assert (await client.post("/v1/transcripts/erase", json=body, headers=support)).status == 403
            bad = await client.post("/v1/transcripts/erase", json={**body, "reason": ""}, headers=erase)
            assert bad.status == 400
            done = await (await client.post("/v1/transcripts/erase", json=body, headers=erase)).json()
            assert done["projects"] == [{"project": "acme/clinic", "pieces": 1, "kept_because": ""}]
            stored.table = None
            refused = await client.post("/v1/transcripts/erase", json=body, headers=erase)
            assert (refused.status, (await refused.json())["error"]["reason"]) == (403, "not_permitted")
