"""WebTransport of a region that `patchbay up` starts: with a certificate of its own, unless the settings name one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.dev_certificates import create_or_renew

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_ANY_HOST = ("0.0.0.0", "::")


def webtransport_settings(
    tree: Mapping[str, Any], state: Path, *, host: str | None, port: int | None
) -> tuple[dict[str, Any], Callable[[], str] | None]:
    """What goes over the settings in `tree`; and what renews its certificate, None where that is the operator's.

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
        return settings, None
    hosts = [name for name in (host, named.get("host")) if isinstance(name, str) and name not in _ANY_HOST]

    def renew() -> str:
        return create_or_renew(state, hosts=hosts).sha256_hex

    pair = create_or_renew(state, hosts=hosts)
    settings["webtransport__tls"] = {
        "certificate_file": str(pair.certificate_file),
        "key_file": str(pair.key_file),
    }
    return settings, renew
