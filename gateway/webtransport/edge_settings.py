"""What an edge process is told by its gateway, as one line of JSON, and the rules that follow from it."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field

from gateway.logs import LogLevel
from gateway.webtransport.datagram_lane import LaneRules
from gateway.webtransport.door import DoorRules
from gateway.webtransport.hopped_session import SessionRules
from gateway.webtransport.quic.connection_ids import ConnectionIdScheme, connection_id_scheme
from gateway.webtransport.quic.rules import QuicRules
from gateway.webtransport.settings import WebTransportSettings

SECRET_BYTES = 32
_LEAST_SECRET_BYTES = 16
_QUIC_LB_KEY_BYTES = 16
_SPARE_CONNECTIONS = 2
"""For each session that is allowed: connections may open pages alone."""


class EdgeSettings(BaseModel, frozen=True, extra="forbid"):
    """Secrets among them: never on a command line, nor in an environment."""

    index: int = Field(ge=0)
    hop: Path
    secret_hex: str = Field(repr=False)
    webtransport: WebTransportSettings
    max_message_bytes: int = Field(gt=0)
    """The gateway's: sessions.max_message_bytes."""
    log_level: LogLevel = "info"
    core_dumps: bool = False
    gateway_silent_s: int = Field(default=15, ge=2)
    """A gateway says something every second; one that says nothing for so long is taken for lost."""


def connection_ids_of(settings: WebTransportSettings, *, index: int = 0) -> ConnectionIdScheme:
    """Of one process. Raises ValueError with words for an operator."""
    ids = settings.connection_ids
    key = None
    if ids.quic_lb_key_file is not None:
        try:
            key = ids.quic_lb_key_file.read_bytes()
        except OSError as error:
            raise ValueError(f"{ids.quic_lb_key_file}: {error.strerror}") from None
        if len(key) != _QUIC_LB_KEY_BYTES:
            raise ValueError(f"{ids.quic_lb_key_file} has {len(key)} bytes, not {_QUIC_LB_KEY_BYTES}")
    try:
        server_id = bytes.fromhex(ids.server_id.removeprefix("0x"))
    except ValueError:
        raise ValueError("server_id needs an even number of hexadecimal digits") from None
    return connection_id_scheme(
        ids.scheme,
        server_id=server_id,
        key=key,
        rotation=ids.quic_lb_rotation,
        nonce_bytes=ids.quic_lb_nonce_bytes,
        process_index=index,
        processes=settings.processes,
    )


def secret_in(path: Path) -> bytes:
    """Raises ValueError with words for an operator."""
    try:
        secret = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    if len(secret) < _LEAST_SECRET_BYTES:
        raise ValueError(f"{path} has {len(secret)} bytes; a secret needs at least {_LEAST_SECRET_BYTES}")
    return secret


def quic_rules_of(settings: EdgeSettings) -> QuicRules:
    """Raises ValueError."""
    given = settings.webtransport
    return QuicRules(
        secret=bytes.fromhex(settings.secret_hex),
        connection_ids=connection_ids_of(given, index=settings.index),
        idle_timeout_ms=given.idle_timeout_ms,
        retry_always=given.retry == "always",
        retry_above_handshakes=given.retry_above_handshakes,
        max_connections=_SPARE_CONNECTIONS * given.max_sessions_per_process,
    )


def door_rules_of(settings: EdgeSettings) -> DoorRules:
    given = settings.webtransport
    return DoorRules(
        origins=frozenset(given.origins),
        max_sessions=given.max_sessions_per_process,
        session=SessionRules(settings.max_message_bytes, LaneRules(given.reorder_ms, given.reorder_datagrams)),
    )
