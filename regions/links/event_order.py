"""Which event may follow which, for one stream: an engine that breaks the order is not to be believed. PURE."""

from __future__ import annotations

from engines.interface import (
    EndReason,
    FinalResult,
    Granted,
    Lost,
    PartialResult,
    Progress,
    Refused,
    SpeechStarted,
    StreamEvent,
)


class EventOrder:
    """What a stream's engine has said so far, as far as later events must agree with it.

    The grant comes first and once; progress never goes back; each final begins where the last one ended; nothing is
    said of audio that was not sent; every event carries the stream's epoch.
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
        if isinstance(event, Lost):
            return True
        if isinstance(event, Granted | Refused):
            is_first = not self.is_granted
            self.is_granted = True
            return is_first
        if not self.is_granted:
            return False
        return self._admits_result(event, sent_through_sample, is_finishing)

    def _admits_result(
        self,
        event: Progress | SpeechStarted | PartialResult | FinalResult,
        sent_through_sample: int,
        is_finishing: bool,
    ) -> bool:
        match event:
            case Progress(audio_through_sample=through):
                is_right = self._consumed_through_sample <= through <= sent_through_sample and event.compute_us >= 0
                self._consumed_through_sample = through
            case PartialResult(start_sample=start, end_sample=end):
                is_right = self._final_through_sample <= start <= end <= sent_through_sample
            case FinalResult(start_sample=start, end_sample=end):
                is_right = self._final_through_sample == start <= end <= sent_through_sample
                is_right &= is_finishing or event.reason is not EndReason.finish
                self._final_through_sample = end
            case SpeechStarted(at_sample=at):
                is_right = self._final_through_sample <= at <= sent_through_sample
        return is_right


def ends_stream(event: StreamEvent) -> bool:
    """Whether no event may follow."""
    if isinstance(event, FinalResult):
        return event.reason is EndReason.finish
    return isinstance(event, Lost | Refused)
