"""The gateway's side of engine.proto: events, load reports and what relays say of their regions in."""

from __future__ import annotations

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
from policies.routing_facts import CapacityClass, RegionState
from regions.links.region_status import RegionStatus


class MalformedEvent(Exception):
    """An engine said something that this gateway cannot read; its stream counts as lost."""


def decode_event(message: engine_pb2.StreamEvent) -> StreamEvent:
    """Read one event of one stream.

    Raises:
        MalformedEvent: no event is set, or it carries a reason that is none of ours.
    """
    epoch = message.epoch
    try:
        match message.WhichOneof("event"):
            case "progress":
                progress = message.progress
                return Progress(epoch, progress.audio_through_sample, progress.compute_us)
            case "partial":
                partial = message.partial
                return PartialResult(
                    epoch, partial.start_sample, partial.end_sample, partial.text, partial.stable_chars
                )
            case "final":
                return _final(epoch, message.final)
            case "speech_started":
                return SpeechStarted(epoch, message.speech_started.at_sample)
            case "granted":
                granted = message.granted
                return Granted(epoch, granted.model, granted.model_version, granted.window_samples)
            case "refused":
                return _refused(epoch, message.refused)
            case "lost":
                return Lost(epoch, LossReason(message.lost.reason))
            case "move_away":
                return MoveAway(epoch, _move_reason(message.move_away.reason), message.move_away.within_ms)
            case _:
                raise MalformedEvent("an event of a kind that is not known")
    except ValueError as error:
        raise MalformedEvent(str(error)) from error


def decode_load(message: engine_pb2.Load) -> LoadReport:
    return LoadReport(
        pool=message.pool,
        models=tuple(_model_load(model) for model in message.models),
        slots_total=message.slots_total,
        slots_used=message.slots_used,
        queued_audio_ms=message.queued_audio_ms,
        step_p50_us=message.step_p50_us,
        busy_permille=message.busy_permille,
        is_draining=message.is_draining,
        leaves_in_ms=max(0, message.leaves_in_ms),
        is_at_risk=message.is_at_risk,
        gateways=max(1, message.gateways),
        capacity=next((each for each in CapacityClass if each.value == message.capacity), None),
    )


def decode_region(message: engine_pb2.RegionStatus) -> RegionStatus:
    """Read what a relay says of its region. A state that this gateway does not know takes no sessions."""
    try:
        state = RegionState(message.state)
    except ValueError:
        state = RegionState.disabled
    return RegionStatus(
        region=message.region,
        state=state,
        free_slots_of_tier=dict(message.free_slots_of_tier),
        live_permille=message.live_permille,
        spot_permille=message.spot_permille,
        lag_ms=message.lag_ms,
        move_gap_ms=message.move_gap_ms,
        is_stopped=message.is_stopped,
        free_slots_of_class=dict(message.free_slots_of_class),
    )


def _move_reason(name: str) -> MoveReason:
    """A stream that works is not lost for a reason of a newer relay that has no name here."""
    try:
        return MoveReason(name)
    except ValueError:
        return MoveReason.operator


def _model_load(message: engine_pb2.ModelLoad) -> ModelLoad:
    return ModelLoad(
        name=message.name,
        version=message.version,
        language=message.language,
        slots_total=message.slots_total,
        slots_used=message.slots_used,
        share_permille=message.share_permille,
        is_leaving=message.is_leaving,
    )


def _final(epoch: int, message: engine_pb2.Final) -> FinalResult:
    words = tuple(Word(word.text, word.start_sample, word.end_sample, word.confidence) for word in message.words)
    return FinalResult(epoch, message.start_sample, message.end_sample, message.text, words, EndReason(message.reason))


def _refused(epoch: int, message: engine_pb2.Refused) -> Refused:
    retry_after_ms = message.retry_after_ms if message.HasField("retry_after_ms") else None
    return Refused(epoch, RefusalReason(message.reason), retry_after_ms, message.detail[:MAX_DETAIL_CHARS])
