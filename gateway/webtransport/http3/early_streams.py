"""Streams of sessions that came before the request for their session, because packets overtake each other. Pure.

A client may open them in the same flight as its request. They are kept within a bound; who comes beyond it is refused,
not waited for.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class EarlyStream:
    """What came of one so far."""

    stream_id: int
    session_id: int
    data: bytearray = field(default_factory=bytearray)
    is_ended: bool = False


class EarlyStreams:
    """Those of one connection."""

    def __init__(self, *, max_streams: int, max_bytes: int) -> None:
        self._max_streams = max_streams
        self._max_bytes = max_bytes
        self._streams: dict[int, EarlyStream] = {}
        self._bytes = 0

    def __contains__(self, stream_id: int) -> bool:
        return stream_id in self._streams

    def __len__(self) -> int:
        return len(self._streams)

    def keep(self, stream_id: int, session_id: int, data: bytes, *, is_ended: bool) -> bool:
        """False: there is no room for it, and what was kept of it is gone."""
        stream = self._streams.get(stream_id)
        if stream is None:
            if len(self._streams) >= self._max_streams:
                return False
            stream = self._streams[stream_id] = EarlyStream(stream_id, session_id)
        stream.data += data
        stream.is_ended = is_ended
        self._bytes += len(data)
        if self._bytes <= self._max_bytes:
            return True
        self.drop(stream_id)
        return False

    def drop(self, stream_id: int) -> None:
        stream = self._streams.pop(stream_id, None)
        if stream is not None:
            self._bytes -= len(stream.data)

    def take(self, session_id: int | None = None) -> list[EarlyStream]:
        """Those of a session (of all, without one), the one first that was opened first; they are kept no longer."""
        taken = sorted(
            (stream for stream in self._streams.values() if session_id is None or stream.session_id == session_id),
            key=lambda stream: stream.stream_id,
        )
        for stream in taken:
            self.drop(stream.stream_id)
        return taken
