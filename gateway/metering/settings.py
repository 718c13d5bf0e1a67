"""Settings of metering: where usage is written down before anybody else hears of it, and for how long it is kept."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field


class JournalSettings(BaseModel, frozen=True, extra="forbid"):
    """The journal of one gateway; two gateways never share a directory."""

    directory: Path
    """Made if it is not there; readable by its user alone."""
    group_commit_ms: int = Field(default=50, gt=0, le=1_000)
    """How long usage is gathered before it is written and synced in one go."""
    commit_timeout_ms: int = Field(default=5_000, gt=0, le=60_000)
    """A disk that takes longer counts as failed for whoever waits; the write itself goes on."""
    retention_s: int = Field(default=24 * 3_600, gt=0, le=30 * 24 * 3_600)
    """How long events are kept, to be recorded again should Redis lose them."""
    max_bytes: int = Field(default=2**30, ge=2**20)
    """Of the events that are kept; beyond it the oldest go first. What is not billed yet is never dropped."""
