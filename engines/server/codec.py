"""The engine's side of engine.proto: commands in, events and load reports out."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from engines.interface import (
    MAX_DETAIL_CHARS,
    Decoding,
    FinalResult,
    Granted,
    Keyword,
    Lost,
    MoveAway,
    OpenStream,
    PartialResult,
    ProfanityHandling,
    Progress,
    RedactionKind,
    RefusalReason,
    Refused,
    SpeechStarted,
    StreamOptions,
    TextOptions,
)
from engines.proto import engine_pb2
from policies.routing_facts import CapacityClass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engines.interface import LoadReport, ModelLoad, StreamEvent


def decode_open(message: engine_pb2.Open) -> OpenStream | Refused:
    """Read what a gateway asks for; a name that this engine does not know, of a newer gateway, makes it a refusal."""
    try:
        options = _decode_options(message)
    except _UnknownName as unknown:
        return Refused(message.epoch, RefusalReason.bad_options, detail=str(unknown))
    return OpenStream(
        session_id=message.session_id,
        tenant=message.tenant,
        epoch=message.epoch,
        start_sample=message.start_sample,
        options=options,
        tier=message.tier,
        is_replay=message.is_replay,
        classes=_classes(message.capacity_classes),
        grant=message.grant,
    )


def _classes(names: Sequence[str]) -> frozenset[CapacityClass] | None:
    """A class that this engine does not know is none that it could be."""
    return frozenset(each for each in CapacityClass if each.value in names) if names else None


def _decode_options(message: engine_pb2.Open) -> StreamOptions:
    """What an older gateway leaves out has the value that it had before the gateway could say it."""
    text = message.text
    has_silence = message.HasField("max_silence_without_speech_ms")
    return StreamOptions(
        model=message.model,
        model_version=message.model_version,
        language=message.language,
        wants_partials=message.wants_partials,
        min_trailing_silence_ms=message.min_trailing_silence_ms,
        max_silence_without_speech_ms=(
            message.max_silence_without_speech_ms if has_silence else _STANDARD.max_silence_without_speech_ms
        ),
        max_utterance_ms=message.max_utterance_ms,
        decoding=_named(Decoding, message.decoding or _STANDARD.decoding, "decoding"),
        keywords=tuple(Keyword(keyword.phrase, keyword.boost_permille) for keyword in message.keywords),
        text=TextOptions(
            numerals=text.numerals,
            punctuation=text.punctuation,
            profanity=_named(ProfanityHandling, text.profanity or _STANDARD.text.profanity, "text.profanity"),
            redact=tuple(_named(RedactionKind, name, "text.redact") for name in text.redact),
        ),
    )


_STANDARD = StreamOptions()
_Name = TypeVar("_Name", bound=StrEnum)


class _UnknownName(Exception):
    """The message says what this engine knows."""


def _named(names: type[_Name], name: str, option: str) -> _Name:
    try:
        return names(name)
    except ValueError:
        raise _UnknownName(f"{option} of this engine can be {', '.join(names)}") from None


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
            entry.refused.detail = event.detail[:MAX_DETAIL_CHARS]
            if event.retry_after_ms is not None:
                entry.refused.retry_after_ms = event.retry_after_ms
        case Lost():
            entry.lost.reason = event.reason.value
        case MoveAway():
            entry.move_away.reason = event.reason.value
            entry.move_away.within_ms = event.within_ms


def fill_load(message: engine_pb2.Load, report: LoadReport, *, heartbeat_interval_ms: int) -> None:
    message.pool = report.pool
    message.slots_total = report.slots_total
    message.slots_used = report.slots_used
    message.queued_audio_ms = report.queued_audio_ms
    message.step_p50_us = report.step_p50_us
    message.busy_permille = report.busy_permille
    message.is_draining = report.is_draining
    message.gateways = report.gateways
    message.leaves_in_ms = report.leaves_in_ms
    message.is_at_risk = report.is_at_risk
    message.capacity = "" if report.capacity is None else report.capacity.value
    message.heartbeat_interval_ms = heartbeat_interval_ms
    for model in report.models:
        fill_model_load(message.models.add(), model)


def fill_model_load(message: engine_pb2.ModelLoad, model: ModelLoad) -> None:
    message.name = model.name
    message.version = model.version
    message.language = model.language
    message.slots_total = model.slots_total
    message.slots_used = model.slots_used
    message.share_permille = model.share_permille
    message.is_leaving = model.is_leaving


def _fill_final(message: engine_pb2.Final, event: FinalResult) -> None:
    message.start_sample = event.start_sample
    message.end_sample = event.end_sample
    message.text = event.text
    message.reason = event.reason.value
    for word in event.words:
        message.words.add(
            text=word.text, start_sample=word.start_sample, end_sample=word.end_sample, confidence=word.confidence
        )
