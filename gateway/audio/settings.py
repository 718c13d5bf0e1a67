"""Bounds on what one session's audio may cost the gateway."""

from __future__ import annotations

from pydantic import BaseModel, Field


class AudioSettings(BaseModel, frozen=True, extra="forbid"):
    """Read once at start; the same for all sessions of a process."""

    max_container_decoders: int = Field(default=256, gt=0)
    """Sessions at once whose stream describes itself; one more is refused as `too_many_sessions`."""

    decode_turn_us: int = Field(default=1_000, ge=100, le=20_000)
    """How long all such sessions together may hold one turn of the event loop."""

    max_pending_bytes: int = Field(default=2 * 1024 * 1024, ge=4_096)
    """Per session, fed and not looked at yet. Transports stop reading far below it; beyond it the session is closed."""

    max_metadata_bytes: int = Field(default=4 * 1024 * 1024, ge=4_096)
    """Tags, pictures, indexes between two pieces of audio. They are skipped as they come and never held."""

    max_garbage_bytes: int = Field(default=64 * 1024, ge=1_024)
    """Bytes between two pieces of audio that are nothing the encoding knows."""

    max_bad_packets: int = Field(default=10, ge=0)
    """In a row, in a stream that describes itself: they are left out. One more and the session is refused."""

    load_libraries_at_start: bool = False
    """True costs 33 MiB at once; False costs the first session that needs a codec 60 ms of everybody's time."""
