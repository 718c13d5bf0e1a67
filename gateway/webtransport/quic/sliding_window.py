"""Credit of a stream that slides, on both sides: always a window beyond what was read.

aioquic doubles a window each time that half of it was used, for ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aioquic.quic.connection import MAX_STREAM_DATA_FRAME_CAPACITY
from aioquic.quic.packet import QuicFrameType

if TYPE_CHECKING:
    from collections.abc import Callable

    from aioquic.quic.packet_builder import QuicPacketBuilder
    from aioquic.quic.stream import QuicStream


def write_stream_limit(
    builder: QuicPacketBuilder, stream: QuicStream, *, window_bytes: int, on_delivery: Callable[..., None]
) -> None:
    """Give new credit once half of the window was read, and what was lost on its way again.

    Args:
        on_delivery: aioquic's own, which hears whether the frame arrived.
    """
    receiver = stream.receiver
    limit: int = stream.max_stream_data_local
    if not limit or receiver.is_finished:
        return
    wanted = receiver.starting_offset() + window_bytes
    if (wanted - limit) * 2 >= window_bytes:
        limit = stream.max_stream_data_local = wanted
    if stream.max_stream_data_local_sent == limit:
        return
    frame = builder.start_frame(
        QuicFrameType.MAX_STREAM_DATA,
        capacity=MAX_STREAM_DATA_FRAME_CAPACITY,
        handler=on_delivery,
        handler_args=(stream,),
    )
    frame.push_uint_var(stream.stream_id or 0)
    frame.push_uint_var(limit)
    stream.max_stream_data_local_sent = limit
