"""The native protocol's JSON: bytes or text to messages and back.

`decode_client` gives a message or raises `ClientFault`; nothing else comes out of it, whatever goes in.
"""

from __future__ import annotations

import msgspec

from gateway.errors import ClientFault, Reason
from gateway.wire.messages import ClientMessage, Finalize, Finish, KeepAlive, ServerMessage, Start

MAX_JSON_BYTES = 65_536
"""Text messages are small; audio travels as binary messages. A start may carry a token."""

_TextMessage = Start | Finalize | Finish | KeepAlive

_client_decoder: msgspec.json.Decoder[_TextMessage] = msgspec.json.Decoder(_TextMessage)
_client_encoder = msgspec.json.Encoder()
_server_encoder = msgspec.json.Encoder()
_server_decoder: msgspec.json.Decoder[ServerMessage] = msgspec.json.Decoder(ServerMessage)


def decode_client(text: str | bytes) -> ClientMessage:
    """Read one text message. Raises ClientFault(malformed_message), which says what is wrong and where."""
    if len(text) > MAX_JSON_BYTES:
        raise ClientFault(Reason.message_too_large, f"a text message may have {MAX_JSON_BYTES} bytes")
    try:
        return _client_decoder.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ClientFault(Reason.malformed_message, _what_is_wrong(error)) from None


def _what_is_wrong(error: Exception) -> str:
    """A sentence that does not repeat the client's bytes: they may hold a token."""
    if isinstance(error, msgspec.ValidationError):
        return f"the message breaks the protocol: {_without_quotes(str(error))}"
    return "a text message must be one JSON object with a `type`; audio goes into binary messages"


def _without_quotes(text: str) -> str:
    """msgspec quotes an unknown field or tag as the client wrote it; a long one is cut."""
    limit = 200
    return text if len(text) <= limit else text[:limit] + "…"


def encode_client(message: _TextMessage) -> str:
    return _client_encoder.encode(message).decode()


def encode_server(message: ServerMessage) -> str:
    return _server_encoder.encode(message).decode()


def decode_server(text: str | bytes) -> ServerMessage:
    """For clients. Raises msgspec.DecodeError when a server does not speak the protocol."""
    return _server_decoder.decode(text)
