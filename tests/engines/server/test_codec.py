"""Promises of the engine's codec. What a gateway reads of it: tests/regions/links/test_event_codec.py."""

from __future__ import annotations

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from engines.interface import (
    MAX_DETAIL_CHARS,
    LoadReport,
    LossReason,
    Lost,
    ModelLoad,
    OpenStream,
    Progress,
    RefusalReason,
    Refused,
    StreamOptions,
)
from engines.proto import engine_pb2
from engines.server.codec import append_event, decode_open, fill_load
from policies.routing_facts import CapacityClass

pytestmark = pytest.mark.unit


def test_an_open_command_says_everything_about_the_stream() -> None:
    message = engine_pb2.Open(
        session_id="s",
        tenant="t",
        epoch=3,
        start_sample=4_800,
        model="m",
        language="en-GB",
        wants_partials=True,
        min_trailing_silence_ms=600,
        max_utterance_ms=20_000,
    )
    assert decode_open(message) == OpenStream(
        session_id="s",
        tenant="t",
        epoch=3,
        start_sample=4_800,
        options=StreamOptions(
            model="m",
            language="en-GB",
            wants_partials=True,
            min_trailing_silence_ms=600,
            max_utterance_ms=20_000,
        ),
    )


def test_what_an_older_gateway_does_not_say_has_its_default() -> None:
    opened = decode_open(engine_pb2.Open(min_trailing_silence_ms=800, max_utterance_ms=30_000, wants_partials=True))
    assert isinstance(opened, OpenStream)
    assert opened.options == StreamOptions()


@pytest.mark.parametrize(
    ("message", "says"),
    [
        (engine_pb2.Open(epoch=7, decoding="oracle"), "decoding of this engine can be greedy, beam"),
        (engine_pb2.Open(epoch=7, text=engine_pb2.TextOptions(profanity="shout")), "text.profanity"),
        (engine_pb2.Open(epoch=7, text=engine_pb2.TextOptions(redact=["email", "shoe_size"])), "text.redact"),
        (engine_pb2.Open(epoch=7, text=engine_pb2.TextOptions(redact=[""])), "text.redact"),
    ],
)
def test_a_name_of_a_newer_gateway_is_refused_with_those_that_are_known(message: engine_pb2.Open, says: str) -> None:
    refusal = decode_open(message)
    assert isinstance(refusal, Refused)
    assert (refusal.epoch, refusal.reason) == (7, RefusalReason.bad_options)
    assert says in refusal.detail


@given(st.binary(max_size=120))
def test_whatever_is_asked_is_a_stream_or_a_refusal(payload: bytes) -> None:
    message = engine_pb2.Open()
    try:
        message.ParseFromString(payload)
    except DecodeError:
        return
    assert isinstance(decode_open(message), OpenStream | Refused)


def test_a_refusal_is_a_short_sentence_however_long_its_reason() -> None:
    message = engine_pb2.FromEngine()
    append_event(message, 7, Refused(1, RefusalReason.bad_options, detail="no" * MAX_DETAIL_CHARS))
    assert message.events[0].refused.detail == "no" * (MAX_DETAIL_CHARS // 2)


def test_events_of_many_streams_share_a_message_in_order() -> None:
    message = engine_pb2.FromEngine()
    append_event(message, 7, Progress(1, 0, 0))
    append_event(message, 8, Lost(2, LossReason.drained))
    read = engine_pb2.FromEngine.FromString(message.SerializeToString())
    assert [(event.stream_id, event.epoch, event.WhichOneof("event")) for event in read.events] == [
        (7, 1, "progress"),
        (8, 2, "lost"),
    ]


def test_a_load_report_carries_the_heartbeat_interval() -> None:
    report = LoadReport(
        pool="p",
        models=(ModelLoad(name="m", version="v", slots_total=4, slots_used=1, is_leaving=True),),
        slots_total=4,
        slots_used=1,
        queued_audio_ms=20,
        step_p50_us=30,
        busy_permille=40,
        is_draining=True,
    )
    load = engine_pb2.Load()
    fill_load(load, report, heartbeat_interval_ms=500)
    assert (load.slots_total, load.slots_used, load.is_draining, load.heartbeat_interval_ms) == (4, 1, True, 500)
    assert [(model.name, model.version, model.is_leaving) for model in load.models] == [("m", "v", True)]


def test_a_class_of_machines_of_a_newer_gateway_permits_none_that_this_engine_could_be() -> None:
    known = decode_open(engine_pb2.Open(capacity_classes=["reserved", "lunar"]))
    unknown = decode_open(engine_pb2.Open(capacity_classes=["lunar"]))
    assert isinstance(known, OpenStream)
    assert isinstance(unknown, OpenStream)
    assert (known.classes, unknown.classes) == ({CapacityClass.reserved}, frozenset())
    anywhere = decode_open(engine_pb2.Open())
    assert isinstance(anywhere, OpenStream)
    assert (anywhere.classes, anywhere.grant) == (None, b"")
