"""Promises of the engine's codec. What a gateway reads of it: tests/regions/links/test_event_codec.py."""

from __future__ import annotations

import pytest

from engines.interface import LoadReport, LossReason, Lost, OpenStream, Progress, StreamOptions
from engines.proto import engine_pb2
from engines.server.codec import append_event, decode_open, fill_load

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
        model="m",
        model_version="v",
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
