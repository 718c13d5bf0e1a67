"""A WebTransport server as aioquic's own examples make one, that answers as a gateway would and does nothing else.

What the library costs by itself, beside the edge process: no second process, no tokens, no bounds, no reordering of
datagrams.
"""

from __future__ import annotations

import asyncio
import datetime
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvloop
from aioquic.asyncio import QuicConnectionProtocol, serve
from aioquic.h3.connection import H3Connection
from aioquic.h3.events import DatagramReceived, H3Event, HeadersReceived, WebTransportStreamDataReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ProtocolNegotiated, QuicEvent
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from engines.interface import SAMPLES_PER_MS
from gateway.wire import stream_messages
from gateway.wire.audio_datagrams import decode_place
from tests.benchmarks.pacing import CYCLES_PER_UTTERANCE, MESSAGE_MS
from tests.benchmarks.sink import STARTED, replies

if TYPE_CHECKING:
    from tests.benchmarks.sink import Replies

_SAMPLES = MESSAGE_MS * SAMPLES_PER_MS


class _Answering(QuicConnectionProtocol):
    """One connection, with one session."""

    said_after: Replies

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._http: H3Connection | None = None
        self._received = b""
        self._stream_id = -1
        self._messages = 0

    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, ProtocolNegotiated):
            self._http = H3Connection(self._quic, enable_webtransport=True)
        if self._http is not None:
            for http_event in self._http.handle_event(event):
                self._happened(self._http, http_event)

    def _happened(self, http: H3Connection, event: H3Event) -> None:
        if isinstance(event, HeadersReceived):
            http.send_headers(event.stream_id, [(b":status", b"200")])
        elif isinstance(event, WebTransportStreamDataReceived):
            self._stream_id = event.stream_id
            self._received += event.data
            self._take_messages()
        elif isinstance(event, DatagramReceived):
            self._until_sample(decode_place(event.data)[1])

    def _take_messages(self) -> None:
        while len(self._received) >= stream_messages.HEADER_BYTES:
            after = stream_messages.HEADER_BYTES + int.from_bytes(self._received[1:4], "big")
            if len(self._received) < after:
                return
            kind, self._received = self._received[0], self._received[after:]
            if kind == stream_messages.AUDIO:
                self._audio()
            else:
                self._say(STARTED)

    def _until_sample(self, sample: int) -> None:
        """The datagram that begins another 100 ms says that the last one is whole, if nothing is out of order."""
        while self._messages < sample // _SAMPLES:
            self._audio()

    def _audio(self) -> None:
        for text in self.said_after[self._messages % CYCLES_PER_UTTERANCE]:
            self._say(text)
        self._messages += 1

    def _say(self, text: str) -> None:
        message = stream_messages.encode(stream_messages.TEXT, text.encode())
        self._quic.send_stream_data(self._stream_id, message)
        self.transmit()


def _certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sink")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    (folder / "crt.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(private)
    return folder / "crt.pem", folder / "key.pem"


async def _serve() -> None:
    configuration = QuicConfiguration(
        is_client=False, alpn_protocols=["h3"], max_datagram_frame_size=65_536, max_datagram_size=1_252
    )
    with tempfile.TemporaryDirectory() as folder:
        configuration.load_cert_chain(*_certificate(Path(folder)))
    _Answering.said_after = replies()
    server = await serve("127.0.0.1", 0, configuration=configuration, create_protocol=_Answering)
    transport: Any = server._transport
    print(json.dumps({"port": transport.get_extra_info("sockname")[1]}), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    try:
        uvloop.run(_serve())
    except KeyboardInterrupt:
        sys.exit(0)
