"""The certificate of the gRPC listener, which may change while it listens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import grpc

if TYPE_CHECKING:
    from gateway.transports.settings import TlsSettings


class _Pair(NamedTuple):
    key_pem: bytes
    certificate_pem: bytes


# gRPC's core has a bare pointer to them; a handshake may be under way when the server is gone already.
_held: list[grpc.ServerCredentials] = []


class GrpcCertificate:
    """What is in force, and what gRPC has been given of it.

    Raises:
        OSError: a file cannot be read.
    """

    def __init__(self, tls: TlsSettings) -> None:
        self._tls = tls
        self._current = self._given = self._read()

    def take(self) -> None:
        """Read the files again. gRPC keeps the pair before where these do not belong together. Raises as above."""
        self._current = self._read()

    def credentials(self) -> grpc.ServerCredentials:
        """For one server: handshakes use what is in force when they begin, connections that stand are left alone."""
        credentials = grpc.dynamic_ssl_server_credentials(self._configuration(), self._asked, False)
        _held.append(credentials)
        return credentials

    def _asked(self) -> Any:
        """Before each handshake, on a thread of gRPC's. None: as before; the same again would be built anew."""
        current = self._current
        if current is self._given:
            return None
        self._given = current
        return self._configuration()

    def _configuration(self) -> Any:
        return grpc.ssl_server_certificate_configuration([self._given])

    def _read(self) -> _Pair:
        return _Pair(self._tls.key_file.read_bytes(), self._tls.certificate_file.read_bytes())
