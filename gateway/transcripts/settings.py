"""Settings of stored words: where they lie and what bounds them. Whether any are stored, the signed bundle says."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field


class TranscriptSettings(BaseModel, frozen=True, extra="forbid"):
    """`[transcripts]`. Without it nothing can be stored, whatever a bundle says."""

    directory: Path
    """Made if it is not there; readable by its user alone. Gateways of one machine may share it."""
    key_file: Path
    """The region's keys (`patchbay transcripts make-key`). It belongs elsewhere than `directory` and its backups."""
    max_bytes: int = Field(default=10 * 2**30, ge=2**20)
    """Of all that is stored. What does not fit is not stored, and told."""
    max_session_bytes: int = Field(default=2**20, ge=1_024, le=2**26)
    max_queued_finals: int = Field(default=2_000, ge=10, le=100_000)
    """Finals that wait for the disk; what is beyond them is not stored, and told."""
    sweep_interval_s: int = Field(default=60, ge=1, le=3_600)
    """Between looks for what is over."""
