"""Settings of WebTransport: what is required, and the bounds of the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from gateway.dev_certificates import create_or_renew
from gateway.webtransport.settings import ConnectionIdSettings, WebTransportSettings

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit


def tls_in(folder: Path) -> dict[str, str]:
    pair = create_or_renew(folder)
    return {"certificate_file": str(pair.certificate_file), "key_file": str(pair.key_file)}


def test_a_certificate_is_all_that_is_required(tmp_path: Path) -> None:
    settings = WebTransportSettings.model_validate({"tls": tls_in(tmp_path)})
    assert (settings.host, settings.port, settings.processes) == ("127.0.0.1", 4433, 1)
    with pytest.raises(ValidationError, match="tls"):
        WebTransportSettings.model_validate({})


@pytest.mark.parametrize(
    "wrong",
    [
        {"port": 65_536},
        {"processes": 0},
        {"processes": 65},
        {"idle_timeout_ms": 19_999},
        {"retry": "never"},
        {"reorder_ms": 2_001},
        {"reorder_datagrams": 0},
        {"reorder_datagrams": 4_097},
        {"advertised_port": 0},
        {"connection_ids": {"scheme": "other"}},
        {"connection_ids": {"server_id": "0xZZ"}},
        {"something": 1},
    ],
    ids=str,
)
def test_what_is_out_of_bounds_is_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        WebTransportSettings.model_validate({"tls": tls_in(tmp_path), **wrong})


def test_a_server_id_is_written_as_aws_writes_it_or_without_its_prefix() -> None:
    for text in ("0x0123456789abcdef", "0123456789abcdef"):
        assert ConnectionIdSettings(scheme="nlb", server_id=text).server_id == text
