"""A policy bundle at the door and under live sessions, over every transport: nobody's audio is heard where it may not
be, and whoever is turned away hears where it may.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import aiohttp
import grpc
import pytest

from gateway.cli.connection import Connection, ConnectionFailed
from gateway.errors import Reason
from gateway.policy_followed import PolicyFollowed
from gateway.wire.messages import Audio, ErrorMessage, FinalMessage, ResidencySpec, Start
from gateway.wire.proto import speech_pb2_grpc
from tests.contracts.gateway_in_process import GatewayInProcess, running_gateway
from tests.harness.residency_bundle import residency_files, rule
from tests.harness.residency_world import ResidencyWorld
from tests.harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.integration

PCM_100_MS = b"\x01\x00" * 1_600
DEADLINE_S = 60.0
END_S = 1_798_761_600.0
IN_FRANCE = ResidencySpec(subject_country="FR")
STRICT = {"tenant": "acme", "project": "calls"}
GLOBAL = {"tenant": "acme", "project": "none", "residency": "global"}
ONE_REGION = {"tenant": "acme", "project": "one-region", "more": {"subject_country": "FR"}}
SECOND = {"version": "2", "issued_at": "2026-05-01T00:00:00Z"}


@pytest.fixture(params=["ws", "grpc", "webtransport"])
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@contextlib.asynccontextmanager
async def gateway_of(
    tmp_path: Path, here: str, world: ResidencyWorld | None = None
) -> AsyncIterator[tuple[GatewayInProcess, ResidencyWorld]]:
    """A gateway of a region that asks a bundle, and follows it when the test looks."""
    world = world or ResidencyWorld(tmp_path / "bundle")
    sets = world.sets(here)
    async with (
        asyncio.timeout(DEADLINE_S),
        running_gateway(
            tmp_path / "state", asyncio.get_running_loop(), steps=lambda standard: replace(standard, policies=sets)
        ) as gateway,
    ):
        followed = PolicyFollowed(gateway.registry, sets)
        world.in_force.on_change(followed.changed)
        following = asyncio.create_task(followed.run())
        yield gateway, world
        following.cancel()


@contextlib.asynccontextmanager
async def session(gateway: GatewayInProcess, transport: str, start: Start, **claims: Any) -> AsyncIterator[Connection]:
    token = gateway.token(**claims)
    async with gateway.connect(transport, token) as connection:
        await connection.send(start)
        yield connection


async def refused(gateway: GatewayInProcess, transport: str, **claims: Any) -> str:
    """The reason why a session does not begin, before the upgrade or after."""
    try:
        async with session(gateway, transport, Start(), **claims) as connection:
            return (await last_error(connection)).reason
    except ConnectionFailed as failed:
        return next((reason.value for reason in Reason if f" {reason.value}:" in f"{failed}"), str(failed))


async def last_error(connection: Connection) -> ErrorMessage:
    """The error with which the session ends."""
    told = [message async for message in connection.messages()]
    assert isinstance(told[-1], ErrorMessage), told
    return told[-1]


def heard(gateway: GatewayInProcess) -> int:
    return sum(len(stream.audio) for stream in gateway.pool.streams)


async def speaking(gateway: GatewayInProcess, connection: Connection) -> None:
    before = heard(gateway)
    await connection.send(Audio(PCM_100_MS))
    await until(lambda: heard(gateway) > before, what="the engine to hear it")


# --- the door -----------------------------------------------------------------------------------------------------


async def test_before_the_upgrade_it_is_a_redirect_to_a_permitted_gateway_and_no_engine_is_asked(
    tmp_path: Path,
) -> None:
    async with gateway_of(tmp_path, "us-east-1") as (gateway, _), aiohttp.ClientSession() as http:
        url = gateway.websocket.replace("ws://", "http://")
        phi = gateway.token(tenant="acme", project="no-aws", more={"data_class": "phi", "subject_country": "US"})
        async with http.get(url, headers={"Authorization": f"Bearer {phi}"}, allow_redirects=False) as denied:
            assert (denied.status, denied.headers["Patchbay-Reason"]) == (403, "residency_denied")
            assert "Location" not in denied.headers
            assert (await denied.json())["gateways"] == []
        headers = {"Authorization": f"Bearer {gateway.token(**ONE_REGION)}"}
        async with http.get(url, headers=headers, allow_redirects=False) as sent_on:
            assert (sent_on.status, sent_on.headers["Patchbay-Reason"]) == (307, "wrong_region")
            assert sent_on.headers["Location"] == "wss://no-east-1.example/v1/stream"
        assert gateway.pool.streams == []


async def test_a_token_in_the_first_message_is_answered_with_the_gateways_that_may(tmp_path: Path) -> None:
    async with gateway_of(tmp_path, "us-east-1") as (gateway, _), aiohttp.ClientSession() as http:
        async with http.ws_connect(gateway.websocket) as socket:
            token = gateway.token(**STRICT)
            await socket.send_json({"type": "start", "token": token, "residency": {"subject_country": "FR"}})
            error = await socket.receive_json()
            closed = await socket.receive()
        assert (error["reason"], closed.data) == ("wrong_region", 4421)
        hints = ["wss://eu-central-1.example/v1/stream", "wss://eu-west-1.example/v1/stream"]
        assert sorted(error["gateways"]) == hints
        assert gateway.pool.streams == []


async def test_over_grpc_the_status_carries_reason_and_gateways(tmp_path: Path) -> None:
    async with gateway_of(tmp_path, "us-east-1") as (gateway, _), grpc.aio.insecure_channel(gateway.grpc) as channel:
        metadata = (("authorization", f"Bearer {gateway.token(**ONE_REGION)}"),)
        call = speech_pb2_grpc.SpeechStub(channel).Stream(metadata=metadata)
        assert (await call.read()).error.gateways == ["wss://no-east-1.example/v1/stream"]
        assert await call.code() is grpc.StatusCode.FAILED_PRECONDITION
        trailing = dict(await call.trailing_metadata())
        assert trailing["patchbay-reason"] == "wrong_region"
        assert trailing["patchbay-gateway"] == "wss://no-east-1.example/v1/stream"


async def test_a_start_that_raises_the_data_class_is_decided_before_the_first_audio(
    tmp_path: Path, transport: str
) -> None:
    async with gateway_of(tmp_path, "no-east-1") as (gateway, _):
        phi = Start(residency=ResidencySpec(data_class="phi", subject_country="US"))
        async with session(gateway, transport, phi, **GLOBAL) as connection:
            await connection.send(Audio(PCM_100_MS))
            error = await last_error(connection)
        assert error.reason == Reason.wrong_region
        assert "F03-phi-needs-baa" in error.message
        assert not any("no-east" in gateway_named for gateway_named in error.gateways)
        assert heard(gateway) == 0


async def test_what_cannot_both_be_is_a_conflict(tmp_path: Path, transport: str) -> None:
    async with gateway_of(tmp_path, "us-east-1") as (gateway, _):
        minors = Start(residency=ResidencySpec(data_class="minors", subject_country="US"))
        async with session(gateway, transport, minors, tenant="clinic", project="notes", residency="") as connection:
            assert (await last_error(connection)).reason == Reason.residency_conflict
        assert await refused(gateway, transport, **STRICT, residency="global") == "residency_conflict"


# --- under live sessions --------------------------------------------------------------------------------------------


async def test_another_bundle_ends_whom_it_forbids_at_a_commit_point_and_leaves_the_others(
    tmp_path: Path, transport: str
) -> None:
    async with gateway_of(tmp_path, "eu-central-1") as (gateway, world):
        async with (
            session(gateway, transport, Start(residency=IN_FRANCE), **STRICT) as strict,
            session(gateway, transport, Start(residency=IN_FRANCE), **GLOBAL) as other,
        ):
            await speaking(gateway, strict)
            await speaking(gateway, other)
            was_heard = heard(gateway)
            forbid = 'forbid (principal in Asr::Profile::"eu-strict", action, resource == Asr::Region::"eu-central-1");'
            await world.put(residency_files(more_rules=rule("F90-leave-frankfurt", forbid), **SECOND))
            await strict.send(Audio(PCM_100_MS))
            told = [message async for message in strict.messages()]
            error = told[-1]
            assert isinstance(error, ErrorMessage)
            assert (error.reason, error.gateways) == ("wrong_region", ("wss://eu-west-1.example/v1/stream",))
            assert [message for message in told if isinstance(message, FinalMessage)], "what was heard is final"
            assert heard(gateway) == was_heard, "and nothing more is heard"
            await speaking(gateway, other)
        assert len(gateway.registry) <= 1


async def test_an_embargo_ends_a_session_at_once_and_its_audio_is_dropped(tmp_path: Path, transport: str) -> None:
    async with gateway_of(tmp_path, "eu-central-1") as (gateway, world):
        async with session(gateway, transport, Start(residency=IN_FRANCE), **GLOBAL) as connection:
            await speaking(gateway, connection)
            embargo = rule(
                "F91-embargo",
                'forbid (principal, action, resource == Asr::Region::"eu-central-1");',
                '@kind("statutory") @running("at_once")',
            )
            await world.put(residency_files(more_rules=embargo, **SECOND))
            assert len(gateway.registry) == 0
            told = [message async for message in connection.messages()]
        assert not [message for message in told if isinstance(message, FinalMessage)]
        assert isinstance(told[-1], ErrorMessage)
        assert "F91-embargo" in told[-1].message
        assert gateway.pool.streams[0].is_cancelled


async def test_when_the_bundle_ends_in_mid_session_so_do_its_sessions_and_nobody_comes_in(
    tmp_path: Path, transport: str
) -> None:
    async with gateway_of(tmp_path, "eu-central-1") as (gateway, world):
        async with session(gateway, transport, Start(residency=IN_FRANCE), **STRICT) as connection:
            await speaking(gateway, connection)
            world.now_s = END_S
            await world.in_force.look()
            error = await last_error(connection)
            assert (error.reason, error.retryable, error.gateways) == ("residency_unavailable", True, ())
        assert await refused(gateway, transport, **STRICT) == "residency_unavailable"
