"""Where a gateway may be told to listen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from gateway.transports.settings import ListenSettings, TlsSettings

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit


def test_a_gateway_listens_on_this_machine_alone_unless_told_otherwise() -> None:
    assert ListenSettings().host == "127.0.0.1"


@pytest.mark.parametrize("port", [-1, 65_536])
def test_a_port_is_a_port(port: int) -> None:
    with pytest.raises(ValidationError):
        ListenSettings(port=port)


def test_certificates_that_are_not_there_are_named(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.touch()
    with pytest.raises(ValidationError, match=r"nowhere\.pem"):
        TlsSettings(certificate_file=tmp_path / "nowhere.pem", key_file=key)
