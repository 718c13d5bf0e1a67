"""Which event may follow which, for one stream: an engine that breaks the order is not to be believed. PURE."""

from __future__ import annotations

from engines.interface import (
    EndReason,
    FinalResult,
    Granted,
    Lost,
    MoveAway,
    PartialResult,
    Progress,
    Refused,
    SpeechStarted,
    StreamEvent,
)


class EventOrder:
    """What a stream's engine has said so far, as far as later events must agree with it.

    The grant comes first and once, with a window that audio fits in; progress never goes back; each final begins where
    the last one ended; nothing is said of audio that was not sent; a granted stream may be told to move, which neither
    grants nor ends it; every event carries the stream's epoch.
    """

    __slots__ = ("_consumed_through_sample", "_epoch", "_final_through_sample", "is_granted")

    def __init__(self, *, epoch: int, start_sample: int) -> None:
        self._epoch = epoch
        self._final_through_sample = start_sample
        self._consumed_through_sample = start_sample
        self.is_granted = False

    def admits(self, event: StreamEvent, *, sent_through_sample: int, is_finishing: bool) -> bool:
        """Whether the event may come now; it is then remembered."""
        if event.epoch != self._epoch:
            return False
        kind = type(event)
        if kind in _RESULTS:
            return self.is_granted and self._admits_result(event, sent_through_sample, is_finishing)
        if kind is Lost:
            return True
        if isinstance(event, Granted) and event.window_samples <= 0:
            return False
        is_first = not self.is_granted
        self.is_granted = True
        return is_first

    def _admits_result(self, event: StreamEvent, sent_through_sample: int, is_finishing: bool) -> bool:
        match event:
            case Progress():
                through = event.audio_through_sample
                is_right = self._consumed_through_sample <= through <= sent_through_sample and event.compute_us >= 0
                self._consumed_through_sample = through
            case PartialResult():
                is_right = self._final_through_sample <= event.start_sample <= event.end_sample <= sent_through_sample
            case FinalResult():
                is_right = self._final_through_sample == event.start_sample <= event.end_sample <= sent_through_sample
                is_right &= is_finishing or event.reason is not EndReason.finish
                self._final_through_sample = event.end_sample
            case SpeechStarted():
                is_right = self._final_through_sample <= event.at_sample <= sent_through_sample
            case MoveAway():
                is_right = event.within_ms >= 0
            case _:
                is_right = False
        return is_right


_RESULTS = frozenset({Progress, SpeechStarted, PartialResult, FinalResult, MoveAway})


def ends_stream(event: StreamEvent) -> bool:
    """Whether no event may follow."""
    if isinstance(event, FinalResult):
        return event.reason is EndReason.finish
    return type(event) in _ENDS


_ENDS = frozenset({Lost, Refused})
