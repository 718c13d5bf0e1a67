"""Two copies of one server's connection, one of them without its short way: both get the same packets of a client."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from aioquic import tls
from aioquic.quic.events import ConnectionIdIssued, QuicEvent, StreamDataReceived
from aioquic.quic.packet import QuicPacketType
from aioquic.quic.packet_builder import QuicPacketBuilder

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from tests.harness.quic_pair import QuicPair

_SETTLE_TURNS, _SETTLE_S = 3, 0.03


class Twins:
    """The server of a pair, twice; its client seals packets and is told nothing."""

    def __init__(self, two: QuicPair) -> None:
        self.now, self.address = two.now, two.client_address
        self.short: Any = two.server
        self.general: Any = copy.deepcopy(two.server, _shared(two))
        self.general._one_rtt = self.general._space = None
        self.both = (self.short, self.general)
        self._client = two.client
        self.number: int = two.client._packet_number

    def sealed(self, frames: Callable[[Any], bytes]) -> tuple[bytes, bytes]:
        """One packet for each twin, with the same number. `frames` is told for which one."""
        self.number += 1
        return self._sealed(frames(self.short)), self._sealed(frames(self.general))

    def _sealed(self, frames: bytes) -> bytes:
        client = self._client
        builder = QuicPacketBuilder(
            host_cid=client.host_cid,
            is_client=True,
            max_datagram_size=2_000,
            packet_number=self.number,
            peer_cid=client._peer_cid.cid,
            version=client._version,
        )
        builder.start_packet(QuicPacketType.ONE_RTT, client._cryptos[tls.Epoch.ONE_RTT])
        builder._buffer.push_bytes(frames)
        return builder.flush()[0][0]

    def update_keys(self) -> None:
        self._client._cryptos[tls.Epoch.ONE_RTT]._update_key("local_update")

    def give(self, packets: tuple[bytes, bytes], address: tuple[str, int]) -> None:
        for end, data in zip(self.both, packets, strict=True):
            end.receive_datagram(data, address, now=self.now)

    def speak(self) -> None:
        for end in self.both:
            at = end.get_timer()
            if at is not None and at <= self.now:
                end.handle_timer(now=self.now)
            end.datagrams_to_send(now=self.now)

    def settle(self) -> None:
        """What one of them says a little later, because of pacing, it has said then."""
        for _ in range(_SETTLE_TURNS):
            self.now += _SETTLE_S
            self.speak()

    def heard(self) -> list[list[tuple[object, ...]]]:
        """What the layer above each of them is told, since it was asked last."""
        told = [_told(end._events) for end in self.both]
        for end in self.both:
            end._events.clear()
        return told


def frames(dice: Random, offsets: dict[int, int], live: list[int]) -> bytes:
    """Some frames of a client that keeps nearly all rules; `offsets` and `live` streams go on with it."""
    made = b""
    for _ in range(dice.randrange(1, 4)):
        stream_id = dice.choice(live)
        at = offsets.setdefault(stream_id, 0)
        kind = dice.random()
        if kind < 0.6:
            size = dice.choice((0, 1, 50, 300, 380))
            is_end = dice.random() < 0.05
            if dice.random() < 0.08 and not is_end:
                at = max(0, at + dice.choice((-100, -20, 20)))
            else:
                offsets[stream_id] = at + size
            content = bytes((at + place) & 0xFF for place in range(size))
            made += bytes((0x0E | is_end, stream_id)) + _four(at) + _four(size) + content
            if is_end:
                live.remove(stream_id)
                live.append(max(*live, stream_id) + 2)
        elif kind < 0.7:
            made += b"\x31\x08datagram"
        elif kind < 0.75:
            made += bytes(dice.randrange(1, 9))
        elif kind < 0.78:
            made += b"\x1a" + dice.randbytes(8)
        elif kind < 0.8:
            made += b"\x05" + bytes((dice.choice((0, 4)), 9))
        elif kind < 0.85:
            made += b"\x10" + _four(dice.randrange(1 << 20))
        elif kind < 0.9:
            made += b"\x12" + _four(dice.randrange(200))
        elif kind < 0.905:
            made += dice.randbytes(3)
        elif kind < 0.92:
            made += b"\x19" + bytes((dice.randrange(1, 3),))
        else:
            made += b"\x01"
    return made


def state(end: Any) -> dict[str, object]:
    """What must be the same; what it has sent is not, for packets are put together otherwise."""
    space = end._spaces[tls.Epoch.ONE_RTT]
    return {
        "streams": {
            stream_id: (
                stream.receiver._buffer_start,
                stream.receiver.highest_offset,
                bytes(stream.receiver._buffer),
                stream.receiver._final_size,
                stream.receiver.is_finished,
                stream.max_stream_data_local,
                stream.sender._reset_error_code,
            )
            for stream_id, stream in end._streams.items()
        },
        "limits": [
            (limit.used, limit.value)
            for limit in (end._local_max_data, end._local_max_streams_bidi, end._local_max_streams_uni)
        ],
        "of the client": (end._remote_max_data, end._remote_max_streams_bidi),
        "numbers": (space.expected_packet_number, space.largest_received_packet),
        "received": [number in space.received_packets for number in range(space.largest_received_packet + 1)],
        "state": end._state,
        "closed": None if end._close_event is None else end._close_event.error_code,
        "key phase": end._cryptos[tls.Epoch.ONE_RTT].recv.key_phase,
        "ids": len(end._host_cids),
        "path": end._network_paths[0].addr,
    }


def _told(events: list[QuicEvent]) -> list[tuple[object, ...]]:
    told: list[tuple[object, ...]] = []
    data: bytes = b""
    for event in events:
        if isinstance(event, StreamDataReceived):
            last = told[-1] if told else ()
            if last[:2] == ("stream", event.stream_id):
                told.pop()
                data += event.data
            else:
                data = event.data
            told.append(("stream", event.stream_id, data, event.end_stream))
        elif not isinstance(event, ConnectionIdIssued):
            told.append((type(event).__name__, repr(event)))
    return told


def _shared(two: QuicPair) -> dict[int, Any]:
    """What both have in common: it has no state, or none after the handshake."""
    server = two.server
    shared = [two, server.tls, server._logger, server._configuration, server._rules, *server._crypto_buffers.values()]
    for keys in server._cryptos.values():
        shared += [part for side in (keys.recv, keys.send) for part in (side.aead, side.hp) if part is not None]
    return {id(part): part for part in shared}


def _four(number: int) -> bytes:
    return (number | 0x80000000).to_bytes(4, "big")
