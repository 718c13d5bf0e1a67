"""A client's connection over WebTransport: messages on one stream, and raw audio in datagrams where that is wanted."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gateway.admission.carriers import SUBPROTOCOL
from gateway.cli.connection import ConnectionFailed, UnreachableSo, check_close, read_text
from gateway.cli.exit_codes import ExitCode
from gateway.webtransport.client.client import connect_webtransport
from gateway.webtransport.client.errors import CannotConnect, NoAnswer, NotTrusted, RefusedByStatus, SessionOver
from gateway.webtransport.client.session import End
from gateway.webtransport.client.trust import CertificateHash
from gateway.webtransport.interface import Draft
from gateway.wire import audio_datagrams, codec
from gateway.wire.messages import Audio, ErrorMessage, Finalize, Finish, Gap, Start
from gateway.wire.stream_messages import AUDIO, MARK, TEXT
from policies.facts import AudioEncoding

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from gateway.cli.connection import Connection
    from gateway.webtransport.client.session import ClientSession
    from gateway.webtransport.client.trust import Trust
    from gateway.wire.codec import TextMessage
    from gateway.wire.messages import AudioSpec, ClientMessage, ServerMessage

_PATH = "/v1/stream"
_STATUS_CODES = {
    401: ExitCode.not_permitted,
    403: ExitCode.not_permitted,
    429: ExitCode.unavailable,
    503: ExitCode.unavailable,
}


@dataclass(frozen=True, slots=True)
class WebTransportChoices:
    """`trust`: None stands for the authorities of this system. `has_datagrams`: raw audio travels in them; what the
    network loses of it stays lost.
    """

    trust: Trust | None = None
    has_datagrams: bool = False
    draft: Draft = Draft.draft02

    @property
    def may_trust_others(self) -> bool:
        """Whether gateways that a server names can be known. One hash is that of the gateway that it was given for;
        whoever gave several has those of others too.
        """
        return not isinstance(self.trust, CertificateHash) or len(self.trust.sha256) > 1


class _WebTransportConnection:
    def __init__(self, session: ClientSession, choices: WebTransportChoices) -> None:
        self._session = session
        self._choices = choices
        self._lane: _DatagramLane | None = None

    async def send(self, message: ClientMessage) -> None:
        with contextlib.suppress(SessionOver):
            if not isinstance(message, Audio):
                await self._send_text(message)
            elif self._lane is not None:
                await self._lane.send(message.data)
            else:
                await self._session.send(AUDIO, message.data)

    async def _send_text(self, message: TextMessage) -> None:
        if isinstance(message, Start) and self._choices.has_datagrams and AudioEncoding(message.audio.encoding).is_raw:
            self._lane = _DatagramLane(self._session, message.audio)
        if self._lane is None or not isinstance(message, Finalize | Finish | Gap):
            await self._session.send(TEXT, codec.encode_client(message).encode())
            return
        await self._session.datagrams_out()  # a mark that overtook them would make them late
        await self._session.send(MARK, self._lane.mark())
        await self._session.send(TEXT, codec.encode_client(message).encode())
        await self._session.delivered()  # audio that overtook it would count as sent before it

    async def messages(self) -> AsyncIterator[ServerMessage]:
        has_said_why = False
        async for kind, payload in self._session.messages():
            if kind != TEXT:
                raise ConnectionFailed("the server sent what is no message", ExitCode.protocol_broken)
            decoded = read_text(payload)
            has_said_why = has_said_why or isinstance(decoded, ErrorMessage)
            if decoded is not None:
                yield decoded
        ended = self._session.ended
        if ended is None or has_said_why:
            return
        if ended.how is End.broken:
            raise ConnectionFailed(f"{ended.how.value}: {ended.reason}", ExitCode.protocol_broken)
        if ended.how is End.closed:
            check_close(ended.reason)


class _DatagramLane:
    """Cuts raw audio into datagrams, each with its place among all that was sent over the connection."""

    def __init__(self, session: ClientSession, audio: AudioSpec) -> None:
        self._session = session
        self._instant_bytes = AudioEncoding(audio.encoding).bytes_per_sample * audio.channels
        self._sequence = 0
        self._sample = 0

    async def send(self, data: bytes) -> None:
        """Waits while many wait for the network. Raises SessionOver."""
        session = self._session
        piece_bytes = (session.max_datagram_bytes - audio_datagrams.PLACE_BYTES) // self._instant_bytes
        piece_bytes *= self._instant_bytes
        if piece_bytes <= 0:
            raise SessionOver("the server takes no datagrams")
        for at in range(0, len(data), piece_bytes):
            piece = data[at : at + piece_bytes]
            await session.datagram_room()
            if not session.send_datagram(audio_datagrams.encode_datagram(self._sequence, self._sample, piece)):
                raise SessionOver("nothing can be sent any more")
            self._sequence += 1
            self._sample += len(piece) // self._instant_bytes

    def mark(self) -> bytes:
        return audio_datagrams.encode_mark(self._sequence, self._sample)


def webtransport_url(url: str) -> str:
    """`host:port` is enough; a path is taken as it is."""
    parts = urlsplit(url if "://" in url else f"https://{url}")
    path = parts.path if parts.path not in ("", "/") else _PATH
    return parts._replace(path=path, fragment="").geturl()


@contextlib.asynccontextmanager
async def open_webtransport(
    url: str, headers: Mapping[str, str], timeout_s: float, choices: WebTransportChoices | None
) -> AsyncIterator[Connection]:
    """Raises ConnectionFailed; UnreachableSo where another protocol may do."""
    choices = choices or WebTransportChoices()
    async with contextlib.AsyncExitStack() as stack:
        try:
            session = await stack.enter_async_context(
                connect_webtransport(
                    webtransport_url(url),
                    headers=headers,
                    protocols=(SUBPROTOCOL,),
                    trust=choices.trust,
                    draft=choices.draft,
                    timeout_s=timeout_s,
                )
            )
        except NotTrusted as failure:
            raise ConnectionFailed(f"cannot reach {url}: {failure}", ExitCode.unavailable) from None
        except CannotConnect as failure:
            raise UnreachableSo(
                f"cannot reach {url}: {failure}", ExitCode.unavailable, is_unanswered=isinstance(failure, NoAnswer)
            ) from None
        except RefusedByStatus as refusal:
            code = _STATUS_CODES.get(refusal.status, ExitCode.protocol_broken)
            kind = ConnectionFailed if code is ExitCode.not_permitted else UnreachableSo
            raise kind(f"refused with HTTP {refusal.status}", code) from None
        except ValueError:
            raise ConnectionFailed(f"{url} is not an address", ExitCode.usage) from None
        if choices.has_datagrams and not session.max_datagram_bytes:
            raise UnreachableSo(f"{url} takes no datagrams", ExitCode.unavailable)
        yield _WebTransportConnection(session, choices)
