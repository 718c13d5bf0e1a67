"""Which region a caller of the relay belongs to, by the certificate that it showed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from cryptography import x509

if TYPE_CHECKING:
    from collections.abc import Callable


class PeerCheck:
    """Reads certificates whose signer gRPC has checked already.

    Args:
        is_peer: whether a name is that of a region which may call; asked each time, so that a catalog may change.
    """

    def __init__(self, is_peer: Callable[[str], bool]) -> None:
        self._is_peer = is_peer

    def region_of(self, context: Any) -> str | None:
        """The caller's region: the first DNS name of its certificate that is one. None: it may not call.

        `context`: a grpc.aio.ServicerContext.
        """
        names = (name.decode(errors="replace") for name in context.auth_context().get("peer_dns", ()))
        return next((name for name in names if self._is_peer(name)), None)


def may_be_called(gateway: str, *, region: str) -> bool:
    """Whether a gateway of the region may call itself that: `REGION` or `REGION/NAME`."""
    return gateway == region or gateway.startswith(f"{region}/")


def expires_in_s(context: Any) -> float:
    """Until the caller's certificate expires, by the wall clock of this moment."""
    (pem,) = context.auth_context()["x509_pem_cert"]
    return x509.load_pem_x509_certificate(pem).not_valid_after_utc.timestamp() - time.time()
