"""Which certificate a TLS listener shows."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ssl


async def shown_by(port: int) -> str:
    """SHA-256 of the certificate in a new handshake, in hexadecimal."""
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    trusting.set_alpn_protocols(["h2", "http/1.1"])
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting)
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return hashlib.sha256(der).hexdigest()
