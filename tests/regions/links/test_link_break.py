"""Promises of the reasons for which links break. What gRPC really says: tests/regions/relay/test_server.py."""

from __future__ import annotations

import grpc
import pytest

from regions.links.link_break import is_distrust

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("code", "details", "distrusts"),
    [
        (grpc.StatusCode.UNAVAILABLE, "Tls handshake failed: CERTIFICATE_VERIFY_FAILED: certificate has expired", True),
        (grpc.StatusCode.UNAVAILABLE, "UNAUTHENTICATED: Hostname Verification Check failed.", True),
        (grpc.StatusCode.PERMISSION_DENIED, "the certificate is of no peer region", True),
        (grpc.StatusCode.UNAUTHENTICATED, "certificate_expired", True),
        (grpc.StatusCode.UNAVAILABLE, "Socket closed", False),
        (grpc.StatusCode.UNAVAILABLE, None, False),
    ],
)
def test_only_what_speaks_of_certificates_is_distrust(
    code: grpc.StatusCode, details: str | None, distrusts: bool
) -> None:
    assert is_distrust(code, details) is distrusts
