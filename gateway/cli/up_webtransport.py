"""WebTransport of a region that `patchbay up` starts: with a certificate of its own, unless the settings name one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.dev_certificates import create_or_renew, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_ANY_HOST = ("0.0.0.0", "::")


def webtransport_settings(
    tree: Mapping[str, Any], state: Path, *, host: str | None, port: int | None
) -> tuple[dict[str, Any], Callable[[], str] | None]:
    """What goes over the settings in `tree`; and what renews its certificate and gives its SHA-256. One that the
    settings name is the operator's to renew, and only looked at.

    `port`: 0 for any; None: the settings'.

    Raises:
        DevCertificateRefused: it cannot be made or kept.
    """
    given = tree.get("webtransport")
    named: Mapping[str, Any] = given if isinstance(given, dict) else {}
    settings: dict[str, Any] = {}
    if host is not None:
        settings["webtransport__host"] = host
    if port is not None:
        settings["webtransport__port"] = port
    if "tls" in named:
        return settings, _looking_at(named["tls"])
    hosts = [name for name in (host, named.get("host")) if isinstance(name, str) and name not in _ANY_HOST]

    def renew() -> str:
        return create_or_renew(state, hosts=hosts).sha256_hex

    pair = create_or_renew(state, hosts=hosts)
    settings["webtransport__tls"] = {
        "certificate_file": str(pair.certificate_file),
        "key_file": str(pair.key_file),
    }
    return settings, renew


def _looking_at(tls: object) -> Callable[[], str] | None:
    """None: the settings name no file, which whoever checks them will find."""
    file = tls.get("certificate_file") if isinstance(tls, dict) else None
    return None if not isinstance(file, str) else lambda: shown(Path(file)).sha256.hex()
