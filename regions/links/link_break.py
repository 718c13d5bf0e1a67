"""Why a connection to an engine or a relay was lost, or not made."""

from __future__ import annotations

from enum import StrEnum

import grpc


class LinkBreak(StrEnum):
    """Why a link was lost, or not made."""

    unreachable = "unreachable"
    silent = "silent"
    """No load report, or no answer to a ping, for the liveness budget."""
    closed = "closed"
    """The engine or the network ended the call."""
    backlogged = "backlogged"
    """The engine did not read."""
    malformed = "malformed"
    untrusted = "untrusted"
    """One side's certificate: unknown signer, another name, or expired."""
    renewed = "renewed"
    """A connection with a newer certificate took over, and its last stream ended."""


# What gRPC's core says when a handshake fails; it has no code for it.
_HANDSHAKE_FAILED = ("handshake failed", "CERTIFICATE_VERIFY_FAILED", "Verification Check failed", "SSL_ERROR_SSL")
_NO_PEER = frozenset({grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED})


def is_distrust(code: grpc.StatusCode, details: str | None) -> bool:
    """Whether a call ended because one side would not take the other for who it says it is.

    A relay that refuses our certificate only hangs up: that looks like any other broken connection.
    """
    return code in _NO_PEER or any(mark in (details or "") for mark in _HANDSHAKE_FAILED)
