"""Audio over a network that loses packets, on a clock of its own: how late it is on the stream and in datagrams.

Real QUIC at both ends and the order of datagrams as the edge has it, without sockets, processes or a machine's noise:
what the rules of sending again and of waiting cost, and nothing else. `--write-docs` puts the table into
docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from aioquic.quic.events import DatagramFrameReceived, StreamDataReceived

from gateway import dev_certificates
from gateway.webtransport.datagram_order import DatagramOrder, Gap, OrderCounts, OrderRules
from gateway.webtransport.quic.short_packets import ShortPacketConnection
from gateway.webtransport.settings import WebTransportSettings
from gateway.wire.audio_datagrams import PLACE_BYTES, decode_place, encode_datagram
from tests.benchmarks.document import markdown_table, write_section
from tests.benchmarks.measures import quantile
from tests.harness.quic_pair import pair

if TYPE_CHECKING:
    from aioquic.quic.events import QuicEvent

    from gateway.dev_certificates import DevCertificate
    from gateway.webtransport.datagram_order import Piece

Way = Literal["stream", "datagrams"]

_RATE_HZ, _BYTES_PER_SAMPLE = 16_000, 2
_BYTES_PER_MS = _RATE_HZ * _BYTES_PER_SAMPLE // 1_000
_DATAGRAM_BYTES = 1_068
"""Three for 100 ms."""
_STEP_MS = 1
_LATE_MS = 10
"""More than the pair's own 10 ms a way: 40 ms there and back."""
_LAST_MS = 1_000
_USUAL_AUDIO_MS, _USUAL_SEEDS, _USUAL_LOSS = 100_000, (1, 2, 3), 0.02


@dataclass(frozen=True, slots=True)
class Speech:
    """`loss`: the share of packets that each way loses."""

    way: Way
    piece_ms: int
    """So much audio is sent at once, when it was spoken."""
    audio_ms: int
    loss: float
    seed: int


@dataclass(slots=True)
class _Heard:
    """What comes out at the server: audio, and gaps where it knows that there is none."""

    order: DatagramOrder
    in_all_bytes: int = 0
    lost_bytes: int = 0

    def take(self, now_ms: int, events: list[QuicEvent], min_rtt_us: int | None) -> None:
        self.order.round_trip(min_rtt_us)
        self._add(self.order.due(now_ms))
        for event in events:
            if isinstance(event, StreamDataReceived):
                self.in_all_bytes += len(event.data)
            elif isinstance(event, DatagramFrameReceived):
                self._add(self.order.datagram(now_ms, *decode_place(event.data), event.data[PLACE_BYTES:]))

    def _add(self, pieces: list[Piece]) -> None:
        for piece in pieces:
            lost_bytes = piece.samples * _BYTES_PER_SAMPLE if isinstance(piece, Gap) else 0
            self.lost_bytes += lost_bytes
            self.in_all_bytes += lost_bytes if isinstance(piece, Gap) else len(piece)


@dataclass(slots=True)
class Outcome:
    """`lags_ms`: of each piece, from when it is sent until all audio before its end is there or given up."""

    lags_ms: list[float] = field(default_factory=list)
    lost_share: float = 0.0


def heard(speech: Speech, files: DevCertificate) -> Outcome:
    """One session's way from client to server."""
    dice = random.Random(speech.seed)
    two = pair(files, kind=ShortPacketConnection)
    two.run(fate=lambda _data, _to_server: [_LATE_MS / 1_000])
    two.server_events.clear()
    rules = OrderRules(
        lambda audio: len(audio) // _BYTES_PER_SAMPLE,
        _RATE_HZ,
        WebTransportSettings.model_fields["reorder_ms"].default,
        WebTransportSettings.model_fields["reorder_datagrams"].default,
    )
    at_server, outcome = _Heard(DatagramOrder(rules, OrderCounts())), Outcome()
    waiting: list[tuple[int, int]] = []  # when a piece was sent, and up to which byte it reaches
    sequence = sent_bytes = 0
    for now_ms in range(0, speech.audio_ms + _LAST_MS, _STEP_MS):
        if now_ms % speech.piece_ms == 0 and 0 < now_ms <= speech.audio_ms:
            piece = bytes(speech.piece_ms * _BYTES_PER_MS)
            if speech.way == "stream":
                two.client.send_stream_data(0, piece)
            for at in range(0, len(piece) if speech.way == "datagrams" else 0, _DATAGRAM_BYTES):
                first_sample = (sent_bytes + at) // _BYTES_PER_SAMPLE
                two.client.send_datagram_frame(
                    encode_datagram(sequence, first_sample, piece[at : at + _DATAGRAM_BYTES])
                )
                sequence += 1
            sent_bytes += len(piece)
            waiting.append((now_ms, sent_bytes))
        two.run(
            fate=lambda _data, _to_server: [] if dice.random() < speech.loss else [_LATE_MS / 1_000],
            for_s=_STEP_MS / 1_000,
        )
        at_server.take(now_ms + _STEP_MS, two.server_events, two.server.min_rtt_us)
        two.server_events.clear()
        while waiting and waiting[0][1] <= at_server.in_all_bytes:
            outcome.lags_ms.append(now_ms + _STEP_MS - waiting.pop(0)[0])
    outcome.lost_share = at_server.lost_bytes / sent_bytes
    return outcome


def _row(way: Way, piece_ms: int, files: DevCertificate) -> list[str]:
    outcomes = [heard(Speech(way, piece_ms, _USUAL_AUDIO_MS, _USUAL_LOSS, seed), files) for seed in _USUAL_SEEDS]
    lags_ms = sorted(lag_ms for outcome in outcomes for lag_ms in outcome.lags_ms)
    lost = sum(outcome.lost_share for outcome in outcomes) / len(outcomes)
    shown = [f"{quantile(lags_ms, share):.0f}" for share in (0.5, 0.9, 0.99, 1.0)]
    mean = sum(lags_ms) / len(lags_ms)
    return [
        f"WebTransport, {'on the' if way == 'stream' else 'in'} {way}",
        f"{piece_ms} ms",
        f"{mean:.1f}",
        *shown,
        f"{100 * lost:.2f}",
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.virtual_lag", description=__doc__)
    parser.add_argument("--write-docs", action="store_true", help="put the table into docs/benchmarks.md")
    arguments = parser.parse_args()
    header = ["", "sent at once", "mean ms", "p50 ms", "p90 ms", "p99 ms", "most ms", "audio lost, %"]
    ways: tuple[Way, ...] = ("stream", "datagrams")
    with tempfile.TemporaryDirectory() as folder:
        files = dev_certificates.make(Path(folder))
        table = markdown_table(header, [_row(way, piece_ms, files) for piece_ms in (100, 20) for way in ways])
    print(table)
    if arguments.write_docs:
        write_section("webtransport-virtual-lag", table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
