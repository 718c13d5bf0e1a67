"""The address of the console of the region that runs here, with a development token in its fragment."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gateway.running_regions import newest

if TYPE_CHECKING:
    from pathlib import Path


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
    address = str(region["console"])
    parts = urlsplit(address)
    if parts.scheme != "https" and not _is_this_machine(parts.hostname or ""):
        raise NoConsole(f"{address} is not encrypted, so no link with a token in it is made")
    return f"{address}#token={token}"


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
