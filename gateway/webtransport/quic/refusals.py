"""Refusals that need no connection: an Initial packet with CONNECTION_CLOSE (RFC 9000 §8.1.3, §10.2.3)."""

from __future__ import annotations

from aioquic.quic.connection import TRANSPORT_CLOSE_FRAME_CAPACITY
from aioquic.quic.crypto import CryptoPair
from aioquic.quic.packet import QuicErrorCode, QuicFrameType, QuicHeader, QuicPacketType
from aioquic.quic.packet_builder import QuicPacketBuilder

_DATAGRAM_BYTES = 1_200


def connection_refusal(header: QuicHeader, code: QuicErrorCode) -> bytes:
    """The answer to the client's Initial packet with this header: the connection ends with `code` before it began.

    Its keys follow from the id that the client chose, so nothing is kept.
    """
    crypto = CryptoPair()
    crypto.setup_initial(cid=header.destination_cid, is_client=False, version=header.version or 0)
    builder = QuicPacketBuilder(
        host_cid=header.destination_cid,
        is_client=False,
        max_datagram_size=_DATAGRAM_BYTES,
        peer_cid=header.source_cid,
        version=header.version or 0,
    )
    builder.start_packet(QuicPacketType.INITIAL, crypto)
    frame = builder.start_frame(QuicFrameType.TRANSPORT_CLOSE, capacity=TRANSPORT_CLOSE_FRAME_CAPACITY)
    frame.push_uint_var(code)
    frame.push_uint_var(QuicFrameType.PADDING)
    frame.push_uint_var(0)
    datagrams, _ = builder.flush()
    return datagrams[0]
