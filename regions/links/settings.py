"""Settings of the links between a gateway and its engines."""

from __future__ import annotations

from pydantic import BaseModel, Field, model_validator

from regions.discovery.settings import DiscoverySettings


class LinkSettings(BaseModel, frozen=True, extra="forbid"):
    """One link. The engine's heartbeat must fit several times into `liveness_ms`."""

    connect_timeout_ms: int = Field(default=800, gt=0, le=10_000)
    """From dialling to the engine's first load report."""
    liveness_ms: int = Field(default=2_000, gt=0, le=60_000)
    """Without a load report for this long, the engine is lost: it sends them only while it recognises."""
    heartbeat_interval_ms: int = Field(default=500, ge=20, le=60_000)
    """The gateway's own: a ping goes at least so often, and an engine frees the slots of a gateway that is silent."""
    reconnect_min_ms: int = Field(default=50, gt=0, le=10_000)
    reconnect_max_ms: int = Field(default=1_000, gt=0, le=60_000)
    """Between attempts over TCP: doubled each time, with jitter. A UNIX socket is asked every `local_probe_ms`."""
    local_probe_ms: int = Field(default=40, gt=0, le=1_000)
    flush_gap_ms: int = Field(default=2, ge=0, le=100)
    """At least this long between two messages; what comes meanwhile shares the next. A message costs gRPC about 80 µs
    on either side, whatever is in it; 0 sends one in every turn of the event loop."""
    max_commands_per_message: int = Field(default=128, gt=0, le=1_024)
    max_message_bytes: int = Field(default=1_048_576, ge=65_536, le=3_145_728)
    """Below gRPC's limit of 4 MiB by more than one command."""
    max_queued_bytes: int = Field(default=67_108_864, ge=65_536)
    """Commands that wait for an engine that does not read. More, and the link is lost."""

    move_within_ms: int = Field(default=15_000, ge=1_000, le=600_000)
    """What sessions are given for their move when the engine, or the region at the other end, drains."""
    moves_per_s: int = Field(default=40, ge=1, le=10_000)
    move_burst: int = Field(default=20, ge=1, le=10_000)
    """So many are told at once, the others at this pace; quicker where the last would hear of it too late."""

    @model_validator(mode="after")
    def _reconnect_range_is_one(self) -> LinkSettings:
        if self.reconnect_min_ms > self.reconnect_max_ms:
            raise ValueError("reconnect_min_ms must not exceed reconnect_max_ms")
        return self


class PoolSettings(BaseModel, frozen=True, extra="forbid"):
    """The replicas behind one pool: those of `addresses`, and those that `discovery` finds.

    `retry_after_ms`: advice for a session that found none.
    """

    addresses: tuple[str, ...] = ()
    """Empty, and without discovery: an edge site, which recognises nothing by itself."""
    discovery: DiscoverySettings | None = None
    link: LinkSettings = LinkSettings()
    retry_after_ms: int = Field(default=500, ge=0, le=60_000)
    removal_grace_ms: int = Field(default=5_000, ge=0, le=600_000)
    """A replica that left the listing stays for so long: nobody loses his engine because a listing blinked."""
    retire_within_ms: int = Field(default=60_000, ge=0, le=3_600_000)
    """After that it takes no new streams, and its sessions move away; what is left on it then is cut."""
    open_retries: int = Field(default=2, ge=0, le=5)
    """A stream that a replica would not take, for want of room, is offered to so many others before it is refused."""
