"""Settings of the orders that operators give: where their copy is kept, and how closely they are followed."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field


class OrderSettings(BaseModel, frozen=True, extra="forbid"):
    """The orders themselves are in the Redis of `[limits.redis]`; without one each gateway has its own."""

    copy_file: Path | None = None
    """This gateway's copy: what is in force while Redis is away, or when it comes back empty. Each gateway needs a file
    of its own."""
    poll_ms: int = Field(default=500, ge=50, le=2_000)
    """How often Redis is asked, and told how far this gateway is."""
