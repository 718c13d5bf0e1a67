"""Settings of placement grants: with which key this region signs them, and whose it takes at its relay."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field


class GrantSettings(BaseModel, frozen=True, extra="forbid"):
    """Where keys are. Engines are told by options of their own."""

    key_file: Path
    """Ed25519 private key of this region, in PEM; every gateway of the region has it."""
    keys_directory: Path | None = None
    """Public keys of regions, `REGION.pem`. Its relay, where there is one, takes no stream without a grant that is
    signed by one of them.
    """
    lifetime_s: int = Field(default=60, ge=5, le=3_600)
    """How long a grant may be used to open a stream. The clocks of gateways and engines may differ by 30 s."""
