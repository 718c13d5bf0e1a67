"""Before a session: only a draft's own settings are offered, and the first answer that is final counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from aioquic.h3.connection import H3Connection
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection

from gateway.webtransport.client.client import connect_webtransport
from gateway.webtransport.client.errors import CannotConnect, RefusedByStatus
from gateway.webtransport.client.options import ClientOptions
from gateway.webtransport.client.request import DraftHttp3
from gateway.webtransport.client.trust import CertificateHash
from gateway.webtransport.http3.drafts import ENABLE_CONNECT_PROTOCOL, client_settings
from gateway.webtransport.interface import Draft
from tests.harness.webtransport_server import Place, running_server

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from aioquic.quic.events import QuicEvent

    from gateway.webtransport.interface import QuicPeer

pytestmark = pytest.mark.integration

QPACK = {0x1, 0x7}
SHORT = ClientOptions(close_timeout_s=0.2)


@pytest.mark.parametrize("draft", Draft)
def test_a_client_of_one_draft_offers_nothing_of_another(draft: Draft) -> None:
    quic = QuicConnection(configuration=QuicConfiguration())
    quic.connect(("192.0.2.1", 4433), now=0.0)
    sent = DraftHttp3(quic, draft).sent_settings
    assert sent is not None
    assert {key: value for key, value in sent.items() if key not in QPACK} == client_settings(draft)


class Answering:
    """A server whose answer to a CONNECT is the test's."""

    def __init__(self, peer: QuicPeer, answer: Callable[[H3Connection, int], None]) -> None:
        class Http3(H3Connection):
            def _get_local_settings(self) -> dict[int, int]:
                return {**super()._get_local_settings(), **client_settings(Draft.draft02), ENABLE_CONNECT_PROTOCOL: 1}

        self._peer = peer
        self._http3 = Http3(peer.quic)
        self._answer = answer
        peer.send_soon()

    def quic_event(self, event: QuicEvent) -> None:
        for said in self._http3.handle_event(event):
            if type(said).__name__ == "HeadersReceived":
                self._answer(self._http3, said.stream_id)  # type: ignore[attr-defined]

    def quic_sent(self) -> None: ...

    def quic_closed(self) -> None: ...


def answering(*statuses: int, reset: bool = False) -> Place:
    def answer(http3: H3Connection, stream_id: int) -> None:
        for status in statuses:
            http3.send_headers(stream_id, [(b":status", b"%d" % status), (b"retry-after", b"7")])
        if reset:
            http3._quic.close(error_code=0x101, reason_phrase="no more")

    return Place(user=lambda peer: Answering(peer, answer))


async def test_an_interim_answer_is_no_answer(tmp_path: Path) -> None:
    async with running_server(tmp_path, answering(103, 429)) as server:
        with pytest.raises(RefusedByStatus) as refusal:
            async with connect_webtransport(
                server.url, trust=CertificateHash.of(server.certificate_sha256), options=SHORT
            ):
                pass
    assert (refusal.value.status, refusal.value.headers) == (429, (("retry-after", "7"),))


async def test_a_server_that_closes_instead_of_an_answer_is_told_apart(tmp_path: Path) -> None:
    async with running_server(tmp_path, answering(reset=True)) as server:
        with pytest.raises(CannotConnect, match=r"the server closed it: no more \(code 0x101\)"):
            async with connect_webtransport(
                server.url, trust=CertificateHash.of(server.certificate_sha256), options=SHORT
            ):
                pass
