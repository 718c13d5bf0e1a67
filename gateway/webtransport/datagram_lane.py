"""Where what a session says on its stream and in datagrams becomes one sequence of messages.

Audio comes either way, never both. Text stays where its sender put it: behind a mark, it waits until the audio before
the mark is here or given up.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.errors import ClientFault, Reason
from gateway.webtransport.datagram_audio import datagram_measure
from gateway.webtransport.datagram_order import DatagramOrder, Gap, OrderBroken, OrderRules
from gateway.wire.audio_datagrams import PLACE_BYTES, decode_place
from gateway.wire.codec import decode_client, encode_client
from gateway.wire.messages import Gap as GapMessage
from gateway.wire.messages import Start
from gateway.wire.stream_messages import AUDIO, MARK, TEXT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gateway.webtransport.datagram_order import OrderCounts, Piece

MESSAGE_OVERHEAD_BYTES = 64
"""What a message that waits costs beside its payload: empty ones take room, too."""
_LATE_RING_MS = 2
_READ_FIRST_S = 0.001
"""A loop that was busy rings its timers before it reads what came meanwhile, and what is missing may be there."""

_BOTH_WAYS = "audio came on the stream and in datagrams; a session uses one of them"


@dataclass(frozen=True, slots=True)
class LaneRules:
    reorder_ms: int
    reorder_datagrams: int


class DatagramLane:
    """One session's. `out` gets messages of kind TEXT and AUDIO. Raises ClientFault, after which it must not be used.

    `failed` hears of a fault that is found later. `min_rtt_us` tells the shortest round trip of its connection; None:
    there was none yet.
    """

    def __init__(
        self,
        rules: LaneRules,
        counts: OrderCounts,
        out: Callable[[int, bytes], None],
        failed: Callable[[ClientFault], None],
        min_rtt_us: Callable[[], int | None],
    ) -> None:
        self._rules = rules
        self._counts = counts
        self._out = out
        self._failed = failed
        self._min_rtt_us = min_rtt_us
        self._start: bytes | None = None
        self._early: list[bytes] = []
        """Datagrams that overtook `start`."""
        self._order: DatagramOrder | None = None
        self._has_stream_audio = False
        self._held: deque[tuple[int, bytes]] = deque()
        self.held_bytes = 0
        """On the stream, behind a mark."""
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at_ms = 0

    def stop(self) -> None:
        """Nothing more is given out."""
        if self._timer is not None:
            self._timer.cancel()
        self._held.clear()
        self._early.clear()
        self.held_bytes = 0

    def give_up_waiting(self) -> None:
        """Nothing more comes: what is missing is a gap, and all that waited for it goes out."""
        order = self._order
        while order is not None and (deadline_ms := order.deadline_ms) is not None:
            self._give(order, _at(order, deadline_ms))

    def received(self, kind: int, payload: bytes) -> None:
        """A message of the session's stream."""
        if self._held or (self._order is not None and self._order.is_marked):
            self._held.append((kind, payload))
            self.held_bytes += len(payload) + MESSAGE_OVERHEAD_BYTES
            return
        self._pass_on(kind, payload)

    def datagram(self, payload: bytes) -> None:
        if len(payload) < PLACE_BYTES:
            raise ClientFault(Reason.malformed_message, f"a datagram of audio has at least {PLACE_BYTES} bytes")
        if self._start is None:
            if len(self._early) < self._rules.reorder_datagrams:
                self._early.append(payload)
            return
        order = self._order or self._begin_order(self._start)
        sequence, first_sample = decode_place(payload)
        self._give(order, lambda now_ms: order.datagram(now_ms, sequence, first_sample, payload[PLACE_BYTES:]))

    def _pass_on(self, kind: int, payload: bytes) -> None:
        """Nothing is held back."""
        if kind == MARK:
            if self._start is None:
                raise ClientFault(Reason.unexpected_message, "the first message must be `start`, as text")
            order = self._order or self._begin_order(self._start)
            self._give(order, _marking(order, payload))
            return
        self._out_message(kind, payload)
        if kind == TEXT and self._start is None:
            self._start = payload
            early, self._early = self._early, []
            for datagram in early:
                self.datagram(datagram)

    def _out_message(self, kind: int, payload: bytes) -> None:
        if kind == AUDIO:
            if self._order is not None or self._early:
                raise ClientFault(Reason.unexpected_message, _BOTH_WAYS)
            self._has_stream_audio = True
        self._out(kind, payload)

    def _begin_order(self, start: bytes) -> DatagramOrder:
        if self._has_stream_audio:
            raise ClientFault(Reason.unexpected_message, _BOTH_WAYS)
        message = decode_client(start)
        if not isinstance(message, Start):
            raise ClientFault(Reason.unexpected_message, "the first message must be `start`")
        measure = datagram_measure(message.audio)
        if isinstance(measure, str):
            raise ClientFault(Reason.unexpected_message, measure)
        rules = self._rules
        self._order = DatagramOrder(
            OrderRules(measure, message.audio.sample_rate_hz, rules.reorder_ms, rules.reorder_datagrams), self._counts
        )
        return self._order

    def _give(self, order: DatagramOrder, step: Callable[[int], list[Piece]]) -> None:
        """Take a step; then what waited for it on the stream has its turn, up to the next mark."""
        order.round_trip(self._min_rtt_us())
        try:
            self._out_all(step(_now_ms()))
            while self._held and not order.is_marked:
                kind, payload = self._held.popleft()
                self.held_bytes -= len(payload) + MESSAGE_OVERHEAD_BYTES
                if kind == MARK:
                    self._out_all(_marking(order, payload)(_now_ms()))
                else:
                    self._out_message(kind, payload)
            if not order.is_marked:
                self._out_all(order.due(_now_ms()))
        except OrderBroken as broken:
            raise ClientFault(Reason.malformed_message, str(broken)) from None
        self._watch(order)

    def _out_all(self, pieces: Iterable[Piece]) -> None:
        for piece in pieces:
            if isinstance(piece, Gap):
                self._out(TEXT, encode_client(GapMessage(piece.samples)).encode())
            else:
                self._out(AUDIO, piece)

    def _watch(self, order: DatagramOrder) -> None:
        """A timer that rings too early finds nothing due, and is set anew."""
        deadline_ms = order.deadline_ms
        if deadline_ms is None or (self._timer is not None and self._timer_at_ms <= deadline_ms):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at_ms = deadline_ms
        self._timer = asyncio.get_running_loop().call_at(deadline_ms / 1_000, self._ring, order)

    def _ring(self, order: DatagramOrder) -> None:
        if _now_ms() - self._timer_at_ms < _LATE_RING_MS:
            self._look(order)
        else:
            self._timer = asyncio.get_running_loop().call_later(_READ_FIRST_S, self._look, order)

    def _look(self, order: DatagramOrder) -> None:
        self._timer = None
        try:
            self._give(order, order.due)
        except ClientFault as fault:
            self._failed(fault)


def _marking(order: DatagramOrder, payload: bytes) -> Callable[[int], list[Piece]]:
    if len(payload) != PLACE_BYTES:
        raise ClientFault(Reason.malformed_message, f"a mark has {PLACE_BYTES} bytes")
    sequence, sample = decode_place(payload)
    return lambda now_ms: order.mark(now_ms, sequence, sample)


def _at(order: DatagramOrder, at_ms: int) -> Callable[[int], list[Piece]]:
    return lambda now_ms: order.due(max(now_ms, at_ms))


def _now_ms() -> int:
    """The loop's clock, rounded up: a timer that rings finds its deadline reached."""
    return -int(-asyncio.get_running_loop().time() * 1_000 // 1)
