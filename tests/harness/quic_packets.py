"""What was in packets of QUIC that never arrived: opened with the keys of the client that sent them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aioquic._buffer import Buffer
from aioquic.quic.packet import pull_ack_frame
from aioquic.tls import Epoch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aioquic.quic.connection import QuicConnection

_LONG_HEADER = 0x80
_NUMBERS = {0x04: 3, 0x05: 2, 0x10: 1, 0x11: 2, 0x12: 1, 0x13: 1, 0x14: 1, 0x15: 2, 0x16: 1, 0x17: 1, 0x19: 1}
"""How many integers follow each of the frames that have nothing else. Source: RFC 9000 §19."""


def datagrams_in(packets: Iterable[bytes], sender: QuicConnection) -> list[bytes]:
    """The payloads of the DATAGRAM frames (RFC 9221), in order. Packets of the handshake are passed over.

    Args:
        packets: UDP payloads as they left the sender, whose keys must not have been updated since.
    """
    quic: Any = sender
    crypto, header_bytes = quic._cryptos[Epoch.ONE_RTT].send, 1 + len(quic._peer_cid.cid)
    found: list[bytes] = []
    expected = 0
    for packet in packets:
        if packet[0] & _LONG_HEADER:
            continue
        _, plain, number, _ = crypto.decrypt_packet(packet, header_bytes, expected)
        expected = max(expected, number + 1)
        found += _datagrams(Buffer(data=plain))
    return found


def _datagrams(frames: Buffer) -> list[bytes]:
    found: list[bytes] = []
    while not frames.eof():
        kind = frames.pull_uint_var()
        if kind in (0x30, 0x31):
            found.append(frames.pull_bytes(frames.pull_uint_var() if kind & 1 else frames.capacity - frames.tell()))
        elif kind in (0x02, 0x03):
            pull_ack_frame(frames)
        elif 0x08 <= kind <= 0x0F:
            frames.pull_uint_var()
            if kind & 4:
                frames.pull_uint_var()
            frames.pull_bytes(frames.pull_uint_var() if kind & 2 else frames.capacity - frames.tell())
        elif kind == 0x18:
            frames.pull_uint_var()
            frames.pull_uint_var()
            frames.pull_bytes(frames.pull_uint8() + 16)
        elif kind in (0x1A, 0x1B):
            frames.pull_bytes(8)
        elif kind == 0x06:
            frames.pull_uint_var()
            frames.pull_bytes(frames.pull_uint_var())
        else:
            for _ in range(_NUMBERS.get(kind, 0)):
                frames.pull_uint_var()
    return found
