"""The address of the console of the region that runs here, with a development token in its fragment."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gateway.running_regions import newest

if TYPE_CHECKING:
    from pathlib import Path

_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}


class NoConsole(Exception):
    """There is no page to which the token may be given; the text says why."""


def console_link(state_directory: Path, token: str) -> str:
    """A browser sends no fragment, and the page takes it out of the address.

    Raises:
        NoConsole: nothing runs here, it has no console, or the token would pass a network in the clear.
    """
    region = newest(state_directory)
    if region is None:
        raise NoConsole("no region runs on this machine; start one with `patchbay up`")
    if "console" not in region:
        raise NoConsole("the region that runs here has no console; its settings say `console.enabled = false`")
    address = _from_here(str(region["console"]))
    return f"{address}#token={token}"


def _from_here(address: str) -> str:
    """Raises NoConsole."""
    parts = urlsplit(address)
    host = parts.hostname or ""
    if host in _ANY_ADDRESS:
        return parts._replace(netloc=f"{_ANY_ADDRESS[host]}:{parts.port}").geturl()
    if parts.scheme != "https" and not _is_this_machine(host):
        raise NoConsole(f"{address} is not encrypted, so no link with a token in it is made")
    return address


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
