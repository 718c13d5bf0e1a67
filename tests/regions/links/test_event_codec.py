"""Promises of the event codec: a gateway reads what an engine wrote."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.interface import (
    MAX_DETAIL_CHARS,
    EndReason,
    FinalResult,
    Granted,
    LoadReport,
    LossReason,
    Lost,
    ModelLoad,
    MoveAway,
    MoveReason,
    PartialResult,
    Progress,
    RefusalReason,
    Refused,
    SpeechStarted,
    StreamEvent,
    Word,
)
from engines.proto import engine_pb2
from engines.server.codec import append_event, fill_load
from policies.routing_facts import CapacityClass, RegionState
from regions.links.event_codec import MalformedEvent, decode_event, decode_load, decode_region
from regions.links.region_status import RegionStatus

pytestmark = pytest.mark.unit

epochs = st.integers(0, 2**32 - 1)
samples = st.integers(0, 2**62)
texts = st.text(max_size=20)
confidences = st.floats(0, 1, width=32)
words = st.lists(st.builds(Word, texts, samples, samples, confidences), max_size=3).map(tuple)
events = st.one_of(
    st.builds(Granted, epochs, texts, texts, samples),
    st.builds(Refused, epochs, st.sampled_from(RefusalReason), st.none() | st.integers(0, 60_000), texts),
    st.builds(Progress, epochs, samples, samples),
    st.builds(SpeechStarted, epochs, samples),
    st.builds(PartialResult, epochs, samples, samples, texts, st.integers(0, 20)),
    st.builds(FinalResult, epochs, samples, samples, texts, words, st.sampled_from(EndReason)),
    st.builds(Lost, epochs, st.sampled_from(LossReason)),
    st.builds(MoveAway, epochs, st.sampled_from(MoveReason), st.integers(0, 600_000)),
)


@given(st.lists(st.tuples(st.integers(1, 2**62), events), max_size=6))
def test_events_arrive_as_they_were_sent(sent: list[tuple[int, StreamEvent]]) -> None:
    message = engine_pb2.FromEngine()
    for stream_id, event in sent:
        append_event(message, stream_id, event)
    read = engine_pb2.FromEngine.FromString(message.SerializeToString())
    assert [(entry.stream_id, decode_event(entry)) for entry in read.events] == sent


@given(st.integers(0, 2**31 - 1), st.booleans(), st.none() | st.sampled_from(CapacityClass))
def test_a_load_report_arrives_as_it_was_sent(number: int, is_draining: bool, capacity: CapacityClass | None) -> None:
    sent = LoadReport(
        pool="p",
        models=(
            ModelLoad(
                name="m",
                version="v",
                language="en",
                slots_total=number,
                slots_used=number,
                share_permille=number % 1_001,
                is_leaving=is_draining,
            ),
            ModelLoad(name="n", version="w", slots_total=0, slots_used=0),
        ),
        slots_total=number,
        slots_used=number,
        queued_audio_ms=number,
        step_p50_us=number,
        busy_permille=number,
        is_draining=is_draining,
        leaves_in_ms=number,
        is_at_risk=is_draining,
        gateways=1 + number % 100,
        capacity=capacity,
    )
    message = engine_pb2.Load()
    fill_load(message, sent, heartbeat_interval_ms=500)
    assert decode_load(message) == sent


def test_a_class_that_this_gateway_does_not_know_is_none() -> None:
    assert decode_load(engine_pb2.Load(capacity="lunar")).capacity is None


def test_an_engine_that_does_not_say_how_many_place_on_it_has_one_gateway() -> None:
    assert decode_load(engine_pb2.Load()).gateways == 1


def test_what_a_relay_says_of_its_region_is_read_whole() -> None:
    message = engine_pb2.RegionStatus(
        region="eu-west",
        state="draining",
        free_slots_of_tier={"free": 1, "enterprise": 9},
        live_permille=990,
        spot_permille=400,
        lag_ms=120,
        free_slots_of_class={"reserved": 3},
    )
    assert decode_region(message) == RegionStatus(
        region="eu-west",
        state=RegionState.draining,
        free_slots_of_tier={"free": 1, "enterprise": 9},
        live_permille=990,
        spot_permille=400,
        lag_ms=120,
        free_slots_of_class={"reserved": 3},
    )


def test_a_region_in_a_state_of_a_newer_relay_takes_no_sessions() -> None:
    assert decode_region(engine_pb2.RegionStatus(region="r", state="asleep")).state is RegionState.disabled


def test_a_stream_moves_for_a_reason_of_a_newer_relay() -> None:
    message = engine_pb2.StreamEvent(epoch=3, move_away=engine_pb2.MoveAway(reason="full moon", within_ms=9))
    assert decode_event(message) == MoveAway(3, MoveReason.operator, 9)


@pytest.mark.parametrize(
    "message",
    [
        engine_pb2.StreamEvent(stream_id=1),
        engine_pb2.StreamEvent(stream_id=1, lost=engine_pb2.Lost(reason="tired")),
        engine_pb2.StreamEvent(stream_id=1, refused=engine_pb2.Refused()),
        engine_pb2.StreamEvent(stream_id=1, final=engine_pb2.Final(reason="because")),
    ],
)
def test_what_this_gateway_cannot_read_is_malformed(message: engine_pb2.StreamEvent) -> None:
    with pytest.raises(MalformedEvent):
        decode_event(message)


def test_an_engine_that_says_too_much_with_a_refusal_is_cut_short() -> None:
    refused = engine_pb2.Refused(reason="bad_options", detail="no" * MAX_DETAIL_CHARS)
    event = decode_event(engine_pb2.StreamEvent(stream_id=1, refused=refused))
    assert isinstance(event, Refused)
    assert event.detail == "no" * (MAX_DETAIL_CHARS // 2)


@given(st.binary(max_size=80))
def test_any_bytes_that_parse_give_an_event_or_are_malformed(payload: bytes) -> None:
    message = engine_pb2.StreamEvent()
    try:
        message.ParseFromString(payload)
    except Exception:  # noqa: BLE001 - the library's own complaint is not what is tested
        return
    try:
        decode_event(message)
    except MalformedEvent:
        return
