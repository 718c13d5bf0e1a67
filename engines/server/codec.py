"""The engine's side of engine.proto: commands in, events and load reports out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engines.interface import (
    FinalResult,
    Granted,
    Lost,
    OpenStream,
    PartialResult,
    Progress,
    Refused,
    SpeechStarted,
    StreamOptions,
)
from engines.proto import engine_pb2

if TYPE_CHECKING:
    from engines.interface import LoadReport, StreamEvent


def decode_open(message: engine_pb2.Open) -> OpenStream:
    return OpenStream(
        session_id=message.session_id,
        tenant=message.tenant,
        epoch=message.epoch,
        start_sample=message.start_sample,
        options=StreamOptions(
            model=message.model,
            language=message.language,
            wants_partials=message.wants_partials,
            min_trailing_silence_ms=message.min_trailing_silence_ms,
            max_utterance_ms=message.max_utterance_ms,
        ),
    )


def append_event(message: engine_pb2.FromEngine, stream_id: int, event: StreamEvent) -> None:
    """Add one event of one stream to a message that will go out."""
    entry = message.events.add(stream_id=stream_id, epoch=event.epoch)
    match event:
        case Progress():
            progress = entry.progress
            progress.audio_through_sample = event.audio_through_sample
            progress.compute_us = event.compute_us
        case PartialResult():
            partial = entry.partial
            partial.start_sample = event.start_sample
            partial.end_sample = event.end_sample
            partial.text = event.text
            partial.stable_chars = event.stable_chars
        case FinalResult():
            _fill_final(entry.final, event)
        case SpeechStarted():
            entry.speech_started.at_sample = event.at_sample
            # A message whose fields are all zero is not there unless it is said to be.
            entry.speech_started.SetInParent()
        case Granted():
            granted = entry.granted
            granted.model = event.model
            granted.model_version = event.model_version
            granted.window_samples = event.window_samples
        case Refused():
            entry.refused.reason = event.reason.value
            if event.retry_after_ms is not None:
                entry.refused.retry_after_ms = event.retry_after_ms
        case Lost():
            entry.lost.reason = event.reason.value


def fill_load(message: engine_pb2.Load, report: LoadReport, *, heartbeat_interval_ms: int) -> None:
    message.pool = report.pool
    message.model = report.model
    message.model_version = report.model_version
    message.slots_total = report.slots_total
    message.slots_used = report.slots_used
    message.queued_audio_ms = report.queued_audio_ms
    message.step_p50_us = report.step_p50_us
    message.busy_permille = report.busy_permille
    message.is_draining = report.is_draining
    message.heartbeat_interval_ms = heartbeat_interval_ms


def _fill_final(message: engine_pb2.Final, event: FinalResult) -> None:
    message.start_sample = event.start_sample
    message.end_sample = event.end_sample
    message.text = event.text
    message.reason = event.reason.value
    for word in event.words:
        message.words.add(
            text=word.text, start_sample=word.start_sample, end_sample=word.end_sample, confidence=word.confidence
        )
