"""Where and how a gateway ends WebTransport over HTTP/3."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field

from gateway.transports.settings import TlsSettings


class ConnectionIdSettings(BaseModel, frozen=True, extra="forbid"):
    """What load balancers read in connection ids."""

    scheme: Literal["plain", "nlb", "quic_lb"] = "plain"
    """`nlb`: eight bytes, as AWS Network Load Balancers read them. `quic_lb`: draft-ietf-quic-load-balancers."""
    server_id: str = Field(default="", pattern=r"^(0x)?[0-9a-f]{0,32}$")
    """Hexadecimal; needed by both."""
    quic_lb_key_file: Path | None = None
    """16 bytes: connection ids are encrypted with it; without one they are readable."""
    quic_lb_rotation: int = Field(default=0, ge=0, le=6)
    quic_lb_nonce_bytes: int | None = Field(default=None, ge=4, le=17)
    """As the load balancer's configuration says; None: with a key what makes 16 bytes together with the server id."""


class WebTransportSettings(BaseModel, frozen=True, extra="forbid"):
    """QUIC costs more CPU than all else that is done with a message, so it is ended in processes of its own."""

    host: str = "127.0.0.1"
    port: int = Field(default=4433, ge=0, le=65_535)
    tls: TlsSettings
    processes: int = Field(default=1, ge=1, le=64)
    """All behind the one port."""
    max_sessions_per_process: int = Field(default=300, ge=1, le=100_000)
    origins: tuple[str, ...] = ()
    """Web pages that may open sessions, such as `https://app.example`; empty: any."""
    idle_timeout_ms: int = Field(default=30_000, ge=20_000, le=600_000)
    """Chromium keeps a connection alive only where this is at least 20 s."""
    retry: Literal["always", "under_load"] = "under_load"
    """When a client must show that its address is its own before it costs a handshake."""
    retry_above_handshakes: int = Field(default=64, ge=0, le=100_000)
    """Unfinished handshakes of a process from which it is under load."""
    secret_file: Path | None = None
    """Address tokens and stateless resets are made with it. Gateways behind one address have the same; without one,
    this gateway makes its own at each start.
    """
    advertise: bool = True
    """`Alt-Svc` on the HTTP listener."""
    advertised_port: int | None = Field(default=None, ge=1, le=65_535)
    """Where clients find it, if not at `port`."""
    public_url: str = ""
    """What `/console` and clients are told; empty: from the address that it listens on."""
    connection_ids: ConnectionIdSettings = ConnectionIdSettings()
    reorder_ms: int = Field(default=50, ge=0, le=2_000)
    """How long audio in datagrams waits at most for one that is missing; how long it does follows the network."""
    reorder_datagrams: int = Field(default=256, ge=1, le=4_096)
