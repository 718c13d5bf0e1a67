"""What a request over HTTP/3 asks for, from its fields; and the status of one that is none. Pure.

aioquic has refused before what RFC 9114 §4.3 calls malformed: unknown or doubled pseudo-headers, upper-case names,
control characters.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_AUTHORITY = re.compile(r"[A-Za-z0-9._~:%\[\]-]{1,262}")
"""A host name of 253 characters, or an address in brackets, with a port; no user."""
_PATH = re.compile(r"/[\x21-\x7e]*")

BAD_REQUEST = 400
PATH_TOO_LONG = 414


@dataclass(frozen=True, slots=True)
class RequestHead:
    """`protocol` is that of an extended CONNECT (RFC 9220), else empty. `headers`: names in lower case."""

    method: str
    authority: str
    path: str
    protocol: str
    headers: tuple[tuple[str, str], ...]


def read_head(fields: Sequence[tuple[bytes, bytes]], *, max_path_bytes: int) -> RequestHead | int:
    """The request, or the status that it is refused with: 400 or 414."""
    text = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in fields]
    pseudo = {name: value for name, value in text if name.startswith(":")}
    method, protocol = pseudo.get(":method", ""), pseudo.get(":protocol", "")
    headers = tuple((name, value) for name, value in text if not name.startswith(":"))
    authority, path = pseudo.get(":authority", ""), pseudo.get(":path", "")
    if _AUTHORITY.fullmatch(authority) is None or (protocol and method != "CONNECT"):
        return BAD_REQUEST
    if method == "CONNECT" and not protocol:
        return RequestHead(method, authority, "", "", headers)
    if len(path) > max_path_bytes:
        return PATH_TOO_LONG
    if pseudo.get(":scheme", "") != "https" or _PATH.fullmatch(path) is None:
        return BAD_REQUEST
    return RequestHead(method, authority, path, protocol, headers)
