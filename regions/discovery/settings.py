"""Settings of discovery: where a gateway learns which engines there are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, SecretStr, model_validator


class RedisDiscovery(BaseModel, frozen=True, extra="forbid", hide_input_in_errors=True):
    """Engines register themselves in a Redis; see engines.registration."""

    kind: Literal["redis"]
    url: SecretStr
    """`redis://`, `rediss://` or `unix://`: a single Redis, of this region."""
    prefix: str = Field(default="patchbay", pattern=r"^[a-z0-9_-]{1,32}$")
    region: str = Field(default="", pattern=r"^([a-z0-9][a-z0-9-]{0,62})?$")
    """Whose engines; empty: the gateway's own region."""
    poll_ms: int = Field(default=500, ge=20, le=60_000)
    call_timeout_ms: int = Field(default=500, gt=0, le=10_000)


class DnsSrvDiscovery(BaseModel, frozen=True, extra="forbid"):
    """Engines are the targets of a SRV name, such as that of a headless service of Kubernetes."""

    kind: Literal["dns_srv"]
    name: str = Field(min_length=1, max_length=253)
    resolvers: tuple[Annotated[str, Field(pattern=r"^(\[[0-9a-fA-F:]+\]|[0-9.]+)(:\d{1,5})?$")], ...] = ()
    """`address` or `address:port`; empty: those of the machine."""
    min_ttl_ms: int = Field(default=1_000, ge=20, le=3_600_000)
    max_ttl_ms: int = Field(default=60_000, ge=20, le=3_600_000)
    """The name is asked again when its records' time to live is over, within these two."""
    timeout_ms: int = Field(default=2_000, gt=0, le=30_000)

    @model_validator(mode="after")
    def _range_is_one(self) -> Self:
        if self.min_ttl_ms > self.max_ttl_ms:
            raise ValueError("min_ttl_ms must not exceed max_ttl_ms")
        return self


class FileDiscovery(BaseModel, frozen=True, extra="forbid"):
    """Engines stand in a file, TOML or (named `….json`) JSON; see regions.discovery.engine_file."""

    kind: Literal["file"]
    path: Path
    look_interval_ms: int = Field(default=1_000, ge=20, le=60_000)


DiscoverySettings = Annotated[RedisDiscovery | DnsSrvDiscovery | FileDiscovery, Field(discriminator="kind")]
