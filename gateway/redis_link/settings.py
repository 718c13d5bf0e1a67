"""Where Redis is, and how patient we are with it."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, Field, SecretStr, model_validator


class RedisSettings(BaseModel, frozen=True, extra="forbid", hide_input_in_errors=True):
    """One Redis (7.0 or later), or a Redis Cluster, of this region."""

    urls: tuple[SecretStr, ...] = Field(min_length=1)
    """`redis://`, `rediss://` or `unix://`. One for a single Redis; some nodes of a cluster with `is_cluster`."""
    is_cluster: bool = False
    prefix: str = Field(default="patchbay", pattern=r"^[a-z0-9_-]{1,32}$")
    """Before every key: several installations can share a Redis."""
    connect_timeout_ms: int = Field(default=500, gt=0, le=10_000)
    call_timeout_ms: int = Field(default=500, gt=0, le=10_000)
    """A call that takes longer counts as failed; the same call is made again and does nothing twice."""

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if len(self.urls) > 1 and not self.is_cluster:
            raise ValueError("several urls need is_cluster = true")
        return self
