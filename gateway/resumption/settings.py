"""How sessions outlive their gateway: `[resumption]`."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import BaseModel, Field, SecretStr, model_validator

from regions.gateway_address import is_webtransport, wrong_gateway

MIN_KEY_CHARS = 32
FINISHED_TTL_S = 120
"""A client that missed the last messages of a session that is over comes back at once, or not at all."""


class ResumptionSettings(BaseModel, frozen=True, extra="forbid", hide_input_in_errors=True):
    """Every gateway that may take up another one's sessions needs the same keys."""

    keys: tuple[SecretStr, ...] = ()
    """Secrets that resume tokens are signed with, at least 32 characters each: the first signs, all are believed.
    Without any, a gateway makes one of its own, which nobody else believes.
    """
    key_file: Path | None = None
    """The same from a file, one a line."""
    ttl_s: int = Field(default=3_600, gt=0, le=86_400)
    """So long after its last final a session can be gone on with."""
    copies: int = Field(default=1, ge=0, le=4)
    """Other regions that get a copy of where each session stands, where its policy permits them."""
    resume_at: tuple[str, ...] = ()
    """Addresses that clients are told to go on at; with a catalog it says them. `https://…`: of WebTransport."""
    claim_timeout_ms: int = Field(default=500, gt=0, le=5_000)
    """How long the region that had the session is waited for."""
    tick_ms: int = Field(default=100, ge=10, le=5_000)
    """How often what is new is written down, for all sessions together."""
    max_skipped_ms: int = Field(default=4 * 3_600_000, ge=0)
    """Audio that a client may send again only to get to where the session goes on."""

    @property
    def has_keys(self) -> bool:
        """Whether other gateways may have them too."""
        return bool(self.keys) or self.key_file is not None

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if self.keys and self.key_file is not None:
            raise ValueError("give keys or key_file, not both")
        if any(len(key.get_secret_value()) < MIN_KEY_CHARS for key in self.keys):
            raise ValueError(f"each key must have at least {MIN_KEY_CHARS} characters")
        for number, url in enumerate(self.resume_at, start=1):
            if is_webtransport(url) and (why := wrong_gateway(url)):
                raise ValueError(f"address {number} of resume_at: {why}")
        return self
