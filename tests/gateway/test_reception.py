"""Reception: a session is admitted, begun and let go, and its place always comes back."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from engines.interface import EndReason, FinalResult, Granted, Word
from gateway.admission.places import Place, PlaceSource, Visitor
from gateway.admission.policy_sets import PolicySet
from gateway.errors import AuthenticationFailed, ClientFault, Reason, Unavailable
from gateway.reception import Reception
from gateway.residency.grants import GrantIssuer
from gateway.session_runner import SessionRunner
from gateway.wire.messages import Audio, AudioSpec, Finish, Start, Started
from policies.residency.grant import PlacementGrant, parse, signed_bytes
from tests.contracts.gateway_in_process import GatewayInProcess, running_gateway
from tests.fakes.plans import UnlimitedPlans
from tests.fakes.whole_placement import WholePlacement, WholePool
from tests.gateway.transcripts.transcript_world import CLINIC, TranscriptWorld
from tests.harness.this_region_only import ThisRegionOnly

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from policies.facts import Caller
    from policies.plans import CallerPlan
    from policies.residency.decision import Situation
    from regions.links.interface import EnginePool
    from regions.placing import SessionPlace

pytestmark = pytest.mark.integration


class Port:
    def pause(self) -> None: ...
    def resume(self) -> None: ...


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[GatewayInProcess]:
    async with running_gateway(tmp_path, asyncio.get_running_loop(), max_sessions=1) as running:
        yield running


async def begin(gateway: GatewayInProcess, start: Start) -> SessionRunner:
    request = gateway.reception.read_start(start)
    admitted = await gateway.reception.admit_start(request, None, None)
    return gateway.reception.begin(admitted, request, Port(), transport="test")


async def test_the_token_of_the_start_admits_and_its_place_comes_back(gateway: GatewayInProcess) -> None:
    for _ in range(3):
        runner = await begin(gateway, Start(token=gateway.token()))
        assert len(gateway.registry) == 1
        with pytest.raises(Unavailable):
            await gateway.reception.admit(gateway.token())
        runner.client_gone()
        assert len(gateway.registry) == 0


async def test_a_session_outlives_its_token_by_no_more_than_the_leeway(gateway: GatewayInProcess) -> None:
    runner = await begin(gateway, Start(token=gateway.token(ttl_s=2)))
    runner.tick()
    now_ms = asyncio.get_running_loop().time() * 1_000
    assert now_ms < runner.machine.due_ms <= now_ms + 2_100
    runner.client_gone()


async def test_what_is_no_start_opens_nothing(gateway: GatewayInProcess) -> None:
    with pytest.raises(ClientFault) as fault:
        gateway.reception.read_start(Audio(b""))
    assert fault.value.reason is Reason.unexpected_message


async def test_two_different_tokens_are_one_too_many(gateway: GatewayInProcess) -> None:
    request = gateway.reception.read_start(Start(token=gateway.token(tenant="a")))
    with pytest.raises(AuthenticationFailed):
        await gateway.reception.admit_start(request, gateway.token(tenant="b"), None)


async def test_a_closed_door_is_retryable(gateway: GatewayInProcess) -> None:
    gateway.reception.close()
    with pytest.raises(Unavailable) as refusal:
        await gateway.reception.admit(gateway.token())
    assert refusal.value.reason is Reason.draining


async def test_a_refusal_before_a_session_is_counted_by_its_reason(gateway: GatewayInProcess) -> None:
    gateway.reception.note_refusal(Unavailable(Reason.draining), transport="test")
    assert gateway.refusals() == {("test", "draining"): 1.0}


async def test_audio_is_decoded_on_its_way(gateway: GatewayInProcess) -> None:
    runner = await begin(gateway, Start(token=gateway.token(), audio=AudioSpec("pcm_f32le")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    runner.client_message(Audio(b"\x00\x00\x00\x3f" * 1_600))
    runner.client_message(Finish())
    assert bytes(gateway.pool.last.audio) == b"\x00\x40" * 1_600
    runner.client_gone()


class ShortPlans(UnlimitedPlans):
    """Half a second for everybody."""

    def resolve(self, caller: Caller) -> CallerPlan:
        return replace(super().resolve(caller), max_session_ms=500)


async def test_a_plan_can_make_sessions_shorter(tmp_path: Path) -> None:
    async with running_gateway(
        tmp_path, asyncio.get_running_loop(), steps=lambda standard: replace(standard, plans=ShortPlans())
    ) as gateway:
        runner = await begin(gateway, Start(token=gateway.token()))
        runner.tick()
        now_ms = asyncio.get_running_loop().time() * 1_000
        assert runner.machine.due_ms <= now_ms + 500
        runner.client_gone()


class RevokedLater:
    """Good at the door, revoked by the time that the session begins."""

    def __init__(self) -> None:
        self.num_checks = 0

    def check(self, caller: Caller) -> None:
        self.num_checks += 1
        if self.num_checks > 1:
            raise AuthenticationFailed(Reason.token_revoked)


async def test_a_token_that_is_revoked_before_its_start_comes_opens_nothing(tmp_path: Path) -> None:
    """Whoever holds an upgraded connection open cannot outwait a revocation."""
    revocations = RevokedLater()
    async with running_gateway(
        tmp_path, asyncio.get_running_loop(), steps=lambda standard: replace(standard, revocations=revocations)
    ) as gateway:
        with pytest.raises(AuthenticationFailed) as refusal:
            await begin(gateway, Start(token=gateway.token()))
        assert refusal.value.reason is Reason.token_revoked
        assert (len(gateway.registry), gateway.pool.streams) == (0, [])


async def test_the_session_has_the_name_that_it_was_admitted_by(gateway: GatewayInProcess) -> None:
    guest = await gateway.reception.admit(gateway.token())
    runner = gateway.reception.begin(guest, gateway.reception.read_start(Start()), Port(), transport="test")
    assert gateway.pool.last.opened.session_id == guest.admitted.session_id
    runner.client_gone()


async def resume_at(gateway: GatewayInProcess, runner: SessionRunner) -> tuple[str, ...]:
    """What `started` says."""
    gateway.pool.last.say(Granted(gateway.pool.last.opened.epoch, "m", "v", 80_000))
    messages, _ = await runner.queue.take()
    (started,) = [message for message in messages if isinstance(message, Started)]
    return started.resume_at


class ByPlace(ThisRegionOnly):
    """Names the gateway for where a caller is."""

    def gateways_for(self, _policies: PolicySet, place: Place | None) -> tuple[str, ...]:
        return ("wss://anywhere",) if place is None else (f"wss://{place.country}",)


async def test_a_client_is_told_of_the_gateways_near_him_to_go_on_at(tmp_path: Path) -> None:
    async with running_gateway(
        tmp_path, asyncio.get_running_loop(), steps=lambda standard: replace(standard, policies=ByPlace("here"))
    ) as gateway:
        told = []
        for place in (None, Place("ie", "", None, PlaceSource.edge_header)):
            guest = await gateway.reception.admit(gateway.token(), Visitor("", place))
            runner = gateway.reception.begin(guest, gateway.reception.read_start(Start()), Port(), transport="test")
            told.append(await resume_at(gateway, runner))
            runner.client_gone()
        assert told == [("wss://anywhere",), ("wss://ie",)]


class NotedPlacement(WholePlacement):
    """Remembers what it was told of sessions."""

    def __init__(self, pool: EnginePool) -> None:
        super().__init__(pool)
        self.places: list[SessionPlace] = []

    def session(self, place: SessionPlace) -> WholePool:
        self.places.append(place)
        return super().session(place)


async def test_the_grant_of_a_session_says_what_policy_permits_it_now(gateway: GatewayInProcess) -> None:
    key = Ed25519PrivateKey.generate()
    issuer = GrantIssuer(key, region="here", lifetime_s=60, now_s=time.time)
    placement = NotedPlacement(gateway.pool)
    reception = Reception(replace(gateway.reception._house, grants=issuer, placement=placement))
    request = reception.read_start(Start(token=gateway.token()))
    guest = await reception.admit_start(request, None, None)
    runner = reception.begin(guest, request, Port(), transport="test")

    def signed_now() -> PlacementGrant:
        grant = placement.places[0].grant
        assert grant is not None
        read = parse(grant())
        assert read is not None
        key.public_key().verify(read.signature, signed_bytes(read.payload))
        return read.grant

    first = signed_now()
    assert first.session_id == placement.places[0].session_id
    assert set(first.process) == guest.admitted.policies.permitted.process
    for follow in gateway.registry.terms_of(runner).follows:
        follow(PolicySet.of_list(frozenset({"elsewhere"})))
    assert set(signed_now().process) == {"elsewhere"}
    runner.client_gone()


class ClinicPolicies(ThisRegionOnly):
    """Everybody is a caller of the project that asks for its words to be stored."""

    def __init__(self) -> None:
        super().__init__("here")
        self.situation: Situation | None = CLINIC

    def permitted(self, *_arguments: object) -> PolicySet:
        return replace(PolicySet.of_list(frozenset({"here"})), situation=self.situation)


async def test_finals_are_kept_where_policy_says_so_and_nowhere_else(tmp_path: Path) -> None:
    world = TranscriptWorld(tmp_path)
    policies = ClinicPolicies()
    async with running_gateway(
        tmp_path / "keys", asyncio.get_running_loop(), steps=lambda standard: replace(standard, policies=policies)
    ) as gateway:
        reception = Reception(replace(gateway.reception._house, transcripts=world.keeper))

        async def speak() -> SessionRunner:
            request = reception.read_start(Start(token=gateway.token(subject="patient-7")))
            runner = reception.begin(await reception.admit_start(request, None, None), request, Port(), transport="t")
            stream = gateway.pool.last
            stream.say(Granted(stream.opened.epoch, "m", "v", 80_000))
            runner.client_message(Audio(bytes(2 * 16_000)))
            words = (Word("guten", 0, 4_000, 900), Word("tag", 4_000, 8_000, 900))
            stream.say(FinalResult(stream.opened.epoch, 0, 16_000, "guten tag", words, EndReason.pause_after_speech))
            return runner

        kept = await speak()
        kept.client_gone()
        await world.keeper.flush()
        (session,) = await world.keeper.sessions()
        assert await world.words_of(session.session) == ["guten tag"]
        assert world.store._keys.pseudonym("acme/clinic", "patient-7") == session.subject
        policies.situation = None
        other = await speak()
        other.client_gone()
        await world.keeper.flush()
        assert [type(runner.queue).__name__ for runner in (kept, other)] == ["OverheardQueue", "ClientQueue"]
        assert len(await world.keeper.sessions()) == 1
