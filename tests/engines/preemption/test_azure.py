"""Promises of the source for Azure's Scheduled Events, kept against a server that answers as they do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.preemption.asking import Answer, SourceAway
from engines.preemption.azure import AzureSource, _events, _machines, _notice
from policies.preemption import Confidence, MachineAction, NoticeKind
from tests.harness.metadata_servers import AzureReplay, watched
from tests.harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

POLL_S = 0.01
EVENTS = "/metadata/scheduledevents"


@pytest.fixture
async def service() -> AsyncIterator[AzureReplay]:
    replay = AzureReplay()
    async with replay.serving():
        yield replay


def watching(service: AzureReplay, **more: Any) -> AzureSource:
    return AzureSource(endpoint=service.endpoint, poll_interval_s=POLL_S, **more)


async def polls(service: AzureReplay, more: int = 3) -> None:
    enough = service.count("GET", EVENTS) + more
    await until(lambda: service.count("GET", EVENTS) >= enough, what="polls")


async def test_an_eviction_is_told_once_and_its_lead_is_not_proven(service: AzureReplay) -> None:
    event = service.schedule("Preempt", in_s=31)
    async with watched(watching(service)) as heard:
        await until(lambda: bool(heard.notices))
        await polls(service)
    (notice,) = heard.notices
    assert (notice.event_id, notice.kind, notice.action) == (event, NoticeKind.interruption, MachineAction.terminate)
    assert notice.confidence is Confidence.unproven
    assert 27_000 <= notice.lead_ms <= 31_000
    assert service.started == [], "nothing is acknowledged while streams are here"


async def test_events_for_other_machines_of_the_scale_set_are_nothing_to_us(service: AzureReplay) -> None:
    service.schedule("Preempt", "engine-vm_1", "engine-vm_2")
    service.schedule("Preempt", ResourceType="SomethingElse")
    source = watching(service)
    async with watched(source) as heard:
        await polls(service)
        service.schedule("Preempt", "engine-vm_7", "ENGINE-VM_0")
        await until(lambda: bool(heard.notices))
    assert len(heard.notices) == 1
    assert service.count("GET", "/compute/name") == 1


async def test_maintenance_is_told_with_the_time_that_it_keeps_to_and_withdrawn_when_it_is_over(
    service: AzureReplay,
) -> None:
    service.schedule("Redeploy", in_s=3_600)
    async with watched(watching(service, machine="engine-vm_0")) as heard:
        await until(lambda: bool(heard.notices))
        service.events.clear()
        await until(lambda: bool(heard.withdrawals))
    notice = heard.notices[0]
    assert (notice.kind, notice.action, notice.confidence) == (
        NoticeKind.maintenance,
        MachineAction.restart,
        Confidence.proven,
    )
    assert 3_590_000 <= notice.lead_ms <= 3_600_000


async def test_an_event_that_has_begun_leaves_no_time(service: AzureReplay) -> None:
    service.schedule("Preempt")
    async with watched(watching(service)) as heard:
        await until(lambda: bool(heard.notices))
        service.events[0] |= {"EventStatus": "Started", "NotBefore": ""}
        await until(lambda: len(heard.notices) == 2)
    assert [notice.lead_ms == 0 for notice in heard.notices] == [False, True]


async def test_what_the_engine_left_for_is_acknowledged_once_it_is_ours_alone(service: AzureReplay) -> None:
    ours, shared = service.schedule(), service.schedule("Preempt", service.machine, "engine-vm_1")
    later = service.schedule("Reboot", in_s=900)
    source = watching(service)
    async with watched(source) as heard:
        await until(lambda: len(heard.notices) == 3)
        await source.release(frozenset({ours, shared}))
    assert service.started == [ours]
    assert later not in service.started, "nobody left for it"


async def test_while_other_engines_are_on_the_machine_nothing_is_acknowledged(service: AzureReplay) -> None:
    ours = service.schedule()
    source = watching(service, is_last=lambda: False)
    async with watched(source) as heard:
        await until(lambda: bool(heard.notices))
        await source.release(frozenset({ours}))
    assert service.started == []


async def test_an_acknowledgement_that_fails_is_no_failure(service: AzureReplay) -> None:
    ours = service.schedule()
    source = watching(service)
    async with watched(source) as heard:
        await until(lambda: bool(heard.notices))
        service.broken = (500, b"")
        await source.release(frozenset({ours}))


@pytest.mark.parametrize(
    "broken", [(400, b""), (404, b""), (410, b""), (429, b""), (500, b""), (200, b"[]"), (200, b"{")]
)
async def test_a_service_in_trouble_is_told_once_and_the_event_after_it_is_not_missed(
    service: AzureReplay, broken: tuple[int, bytes]
) -> None:
    source = watching(service)
    async with watched(source) as heard:
        await polls(service)
        service.broken = broken
        await until(lambda: bool(heard.troubles))
        await polls(service, 1)
        service.broken = None
        service.schedule()
        await until(lambda: bool(heard.notices))
    assert len(heard.troubles) == 1


ROW = {
    "EventId": "e1",
    "EventType": "Preempt",
    "ResourceType": "VirtualMachine",
    "Resources": ["vm"],
    "EventStatus": "Scheduled",
    "NotBefore": "Mon, 19 Sep 2016 18:29:47 GMT",
}
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(
    changed=st.dictionaries(st.sampled_from(sorted(ROW)), ANYTHING, max_size=3),
    around=ANYTHING,
)
def test_a_document_is_read_or_refused_whatever_it_holds(changed: dict[str, Any], around: Any) -> None:
    for document in (around, {"Events": around}, {"Events": [ROW | changed, around]}):
        answer = Answer(200, json.dumps(document), {})
        try:
            rows = _events(answer.text)
        except SourceAway:
            continue
        for row in rows:
            notice = _notice(row, answer)
            assert notice is None or (row["EventType"] in ("Preempt", "Terminate", "Reboot", "Redeploy", "Freeze"))
            assert all(isinstance(name, str) for name in _machines(row))


@settings(max_examples=30, deadline=None)
@given(
    due=st.text(max_size=30) | st.sampled_from(["Mon, 19 Sep 2016 18:29:47 GMT", "Mon, 19 Sep 2090 18:29:47 GMT", ""])
)
def test_a_time_that_is_none_past_or_too_far_ahead_proves_nothing(due: str) -> None:
    notice = _notice(ROW | {"NotBefore": due}, Answer(200, "", {}))
    assert notice is not None
    assert notice.lead_ms is None
