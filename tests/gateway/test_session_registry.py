"""The live sessions of a process: swept, counted, emptied."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from engines.interface import EndReason, FinalResult
from gateway.admission.policy_sets import PolicySet
from gateway.errors import Reason, SessionRefused, WrongRegion
from gateway.metrics import GatewayMetrics
from gateway.session_registry import SessionRegistry, Terms
from gateway.wire.messages import Audio
from policies.facts import Caller
from policies.residency.permitted import Permitted
from policies.residency.situation import Stated
from tests.fakes.policy_sets import GivenPolicySets
from tests.gateway.test_session_runner import PCM_100_MS, Session

if TYPE_CHECKING:
    from gateway.admission.places import Place

pytestmark = pytest.mark.unit

CALLER = Caller("acme", "", "", "", frozenset(), "", 0)


def make(*sessions: Session) -> SessionRegistry:
    registry = SessionRegistry(GatewayMetrics(), lambda: max(session.now_ms for session in sessions))
    for session in sessions:
        session.grant()
        session.runner._on_closed = registry.remove
        registry.add(session.runner, CALLER)
    return registry


async def test_a_sweep_wakes_those_that_are_due_and_no_others() -> None:
    idle, busy = Session(), Session()
    registry = make(idle, busy)
    registry.sweep()
    idle.now_ms = busy.now_ms = 30_000
    busy.runner.keepalive()
    registry.sweep()
    assert len(registry) == 1
    assert idle.runner.machine.is_closed
    assert not busy.runner.machine.is_closed


async def test_a_drain_ends_the_silent_at_once_and_waits_for_those_who_speak() -> None:
    silent, speaking = Session(), Session()
    registry = make(silent, speaking)
    speaking.runner.client_message(Audio(PCM_100_MS))
    registry.end_all_after_utterance(Reason.draining)
    assert silent.runner.machine.is_closed
    assert len(registry) == 1
    assert not await registry.wait_until_empty(timeout_ms=1)
    registry.end_all_now(Reason.draining)
    assert await registry.wait_until_empty(timeout_ms=1_000)


async def test_an_empty_registry_is_empty_at_once() -> None:
    registry = SessionRegistry(GatewayMetrics(), lambda: 0)
    assert await registry.wait_until_empty(timeout_ms=1)


async def test_figures_add_up_over_the_sessions() -> None:
    first, second = Session(), Session()
    registry = make(first, second)
    first.runner.client_message(Audio(PCM_100_MS))
    second.runner.client_message(Audio(PCM_100_MS * 2))
    figures = registry.figures()
    assert (figures.sessions, figures.held_samples, figures.queued_messages) == (2, 4_800, 2)


async def test_the_sweep_goes_on_until_it_is_cancelled() -> None:
    session = Session()
    registry = make(session)
    sweeping = asyncio.create_task(registry.sweep_for_ever())
    session.now_ms = 30_000
    async with asyncio.timeout(60):
        while len(registry):
            await asyncio.sleep(0.01)
    sweeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sweeping


async def test_the_sessions_of_the_callers_that_are_meant_end_at_once_and_no_others() -> None:
    meant, other = Session(), Session()
    registry = make(meant)
    other.grant()
    registry.add(other.runner, replace(CALLER, tenant="other"))
    assert registry.end_those_of(lambda caller: caller.tenant == "acme", Reason.token_revoked) == 1
    _, reason = await meant.runner.queue.take()
    assert reason is Reason.token_revoked
    assert not other.runner.machine.is_closed


async def test_when_regions_come_or_go_each_session_keeps_to_its_caller_s_regions_of_now() -> None:
    session, other = Session(), Session()
    registry = make(session)
    other.grant()
    registry.add(other.runner, replace(CALLER, tenant="other"))
    await registry.permit_anew(
        GivenPolicySets(lambda caller: PolicySet.of_list(frozenset({"eu-west", f"{caller.tenant}-region"})))
    )
    assert session.place.permitted == Permitted.everywhere_in(frozenset({"eu-west", "acme-region"}))
    assert other.place.permitted == Permitted.everywhere_in(frozenset({"eu-west", "other-region"}))


async def test_a_session_that_may_be_nowhere_ends_after_its_utterance_and_says_why() -> None:
    silent, speaking = Session(), Session()
    registry = make(silent, speaking)
    speaking.runner.client_message(Audio(PCM_100_MS))
    await registry.permit_anew(GivenPolicySets(lambda _caller: SessionRefused(Reason.residency_unknown_profile)))
    assert silent.runner.machine.is_closed
    assert (await silent.told())[-1].reason == Reason.residency_unknown_profile
    assert not speaking.runner.machine.is_closed
    assert speaking.place.permitted is None


ELSEWHERE = WrongRegion("by rule F01", ("wss://elsewhere.example/v1/stream",))


def denied(at_once: frozenset[str] = frozenset()) -> GivenPolicySets:
    return GivenPolicySets(
        lambda _caller: PolicySet.of_list(frozenset({"elsewhere"})),
        refusal=lambda _policies: ELSEWHERE,
        at_once=at_once,
    )


async def test_a_session_that_may_not_be_here_any_more_is_cut_and_no_engine_hears_another_sample() -> None:
    session = Session()
    registry = make(session)
    session.runner.client_message(Audio(PCM_100_MS))
    stream = session.pool.streams[0]
    heard = len(stream.audio)
    await registry.permit_anew(denied())
    session.runner.client_message(Audio(PCM_100_MS))
    assert len(stream.audio) == heard
    assert not session.runner.machine.is_closed, "what was heard becomes final"
    stream.say(FinalResult(1, 0, 1_600, "yes", (), EndReason.finish))
    assert session.runner.machine.is_closed
    error = (await session.told())[-1]
    assert (error.reason, error.gateways) == (Reason.wrong_region, ELSEWHERE.gateways)


@pytest.mark.parametrize("region", ["here", "elsewhere"])
async def test_an_embargo_of_this_region_or_of_the_engines_ends_it_at_once(region: str) -> None:
    session = Session()
    registry = make(session)
    told: list[bool] = []
    registry.on_outside = lambda _runner, _refusal, is_at_once: told.append(is_at_once)
    session.runner.client_message(Audio(PCM_100_MS))
    await registry.permit_anew(denied(frozenset({region})))
    assert (session.runner.machine.is_closed, told) == (True, [True])


async def test_regions_to_be_left_at_once_are_told_to_placement() -> None:
    session = Session()
    sets = GivenPolicySets(lambda _caller: PolicySet.of_list(frozenset({"here"})), at_once=frozenset({"far"}))
    await make(session).permit_anew(sets)
    assert session.place.at_once == {"far"}


async def test_sessions_keep_what_they_were_let_in_by_and_follow_their_set() -> None:
    session = Session()
    registry = SessionRegistry(GatewayMetrics(), lambda: 0)
    followed: list[PolicySet] = []
    asked: list[object] = []
    terms = Terms(None, Stated(subject_id="p"), None, (followed.append,))
    registry.add(session.runner, CALLER, terms)
    sets = GivenPolicySets.all_in("here", "there")
    sets.permitted = lambda *given: asked.append(given) or PolicySet.of_list(frozenset({"here"}))  # type: ignore[assignment,func-returns-value]
    await registry.permit_anew(sets)
    assert asked == [(CALLER, Stated(subject_id="p"), None)]
    assert [terms.policies] == followed == [PolicySet.of_list(frozenset({"here"}))]


async def test_the_policy_that_ends_a_session_is_the_one_on_record() -> None:
    session = Session()
    registry = SessionRegistry(GatewayMetrics(), lambda: 0)
    told: list[object] = []
    registry.on_outside = lambda _runner, refusal, _is_at_once: told.append(refusal)
    registry.add(session.runner, CALLER, Terms(None, Stated(), None, (told.append,)))
    await registry.permit_anew(denied())
    assert told == [PolicySet.of_list(frozenset({"elsewhere"})), ELSEWHERE]


async def test_while_decisions_are_made_anew_nobody_is_ended() -> None:
    class Between(GivenPolicySets):
        @property
        def is_ready(self) -> bool:
            return False

    session = Session()
    await make(session).permit_anew(Between(lambda _caller: SessionRefused(Reason.residency_unavailable)))
    assert not session.runner.machine.is_closed


async def test_a_fault_with_one_session_keeps_no_other_where_it_may_not_be() -> None:
    faulty, other = Session(), Session()
    registry = make(faulty)

    def fails(_policies: PolicySet) -> None:
        raise RuntimeError("a fault of ours")

    registry.add(faulty.runner, CALLER, Terms(follows=(fails,)))
    other.grant()
    registry.add(other.runner, CALLER)
    await registry.permit_anew(denied())
    assert (faulty.runner.machine.is_closed, other.runner.machine.is_closed) == (True, True)
    assert (await faulty.told())[-1].reason == Reason.internal_error
    assert (await other.told())[-1].reason == Reason.wrong_region


async def test_sessions_of_one_kind_are_decided_once() -> None:
    sessions = [Session() for _ in range(5)]
    registry = make(*sessions)
    asked: list[Caller] = []

    def answer(caller: Caller) -> PolicySet:
        asked.append(caller)
        return PolicySet.of_list(frozenset({"here"}))

    await registry.permit_anew(GivenPolicySets(answer))
    assert len(asked) == 1
    assert all(session.place.permitted is not None for session in sessions)


async def test_a_session_that_ends_by_policy_names_no_gateway_that_was_permitted_before() -> None:
    session = Session()
    registry = make(session)
    before = GivenPolicySets(lambda _caller: PolicySet.of_list(frozenset({"here"})))
    before.gateways_for = lambda *_given: ("wss://before.example/v1/stream",)  # type: ignore[method-assign]
    await registry.permit_anew(before)
    session.runner.client_message(Audio(PCM_100_MS))
    nowhere = SessionRefused(Reason.residency_denied)
    await registry.permit_anew(
        GivenPolicySets(lambda _caller: PolicySet.of_list(frozenset()), refusal=lambda _policies: nowhere)
    )
    session.pool.streams[0].say(FinalResult(1, 0, 1_600, "yes", (), EndReason.finish))
    error = (await session.told())[-1]
    assert (error.reason, error.gateways) == (Reason.residency_denied, ())


async def test_while_many_are_asked_about_again_others_have_their_turns() -> None:
    sessions = [Session() for _ in range(200)]
    registry = make(*sessions)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    await registry.permit_anew(GivenPolicySets.all_in("here"))
    task.cancel()
    assert turns >= 3
    assert all(session.place.permitted is not None for session in sessions)


async def test_what_is_not_decided_yet_is_prepared_before_it_is_asked() -> None:
    class Prepared(GivenPolicySets):
        is_prepared = False

        async def prepare(self, caller: Caller, request: Stated, place: Place | None) -> None:
            await asyncio.sleep(0)
            self.is_prepared = True

    session = Session()
    sets = Prepared(lambda _caller: PolicySet.of_list(frozenset({"here" if sets.is_prepared else "nowhere"})))
    await make(session).permit_anew(sets)
    assert session.place.permitted == Permitted.everywhere_in(frozenset({"here"}))


async def test_policy_that_is_another_one_by_now_is_not_followed_further() -> None:
    session = Session()
    await make(session).permit_anew(denied(), is_over=lambda: True)
    assert not session.runner.machine.is_ending
