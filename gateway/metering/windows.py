"""Where one event ends and the next begins, by the rule that the settle script follows too. Pure.

An event ends with a slice whose number + 1 is a multiple of the window, with the last slice before another UTC hour,
and where a tab is closed. Ids follow from what an event covers, so whoever follows the rule makes the same events.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.metering.entries import MS_PER_HOUR, UsageEvent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gateway.metering.entries import Slice, TabLabels


def fills_window(piece: Slice, *, window_slices: int) -> bool:
    return (piece.number + 1) % window_slices == 0


def is_in_same_hour(piece: Slice, other: Slice) -> bool:
    return piece.at_ms // MS_PER_HOUR == other.at_ms // MS_PER_HOUR


def events_of(
    labels: TabLabels,
    slices: Sequence[Slice],
    *,
    audio_before_ms: int,
    connection_before_ms: int,
    window_slices: int,
    is_over: bool,
) -> Iterator[UsageEvent]:
    """The events that cover these consecutive slices, the last of which ends an event whatever its number.

    `is_over`: nothing follows the last slice, and closing the tab is what ended its event if nothing else did; only
    then does the event say that it is the last. `audio_before_ms`, `connection_before_ms`: of all slices before the
    first.
    """
    begin = 0
    for index, piece in enumerate(slices):
        is_full, is_end = fills_window(piece, window_slices=window_slices), index == len(slices) - 1
        if not (is_full or is_end or not is_in_same_hour(piece, slices[index + 1])):
            continue
        covered = slices[begin : index + 1]
        event = UsageEvent(
            labels=labels,
            first=covered[0].number,
            last=piece.number,
            compute_us=sum(each.compute_us for each in covered),
            audio_ms=sum(each.audio_ms for each in covered),
            connection_ms=sum(each.connection_ms for each in covered),
            audio_before_ms=audio_before_ms,
            connection_before_ms=connection_before_ms,
            at_ms=piece.at_ms,
            is_last=is_end and is_over and not is_full,
        )
        yield event
        begin = index + 1
        audio_before_ms += event.audio_ms
        connection_before_ms += event.connection_ms
