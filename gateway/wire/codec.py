"""The native protocol's JSON: bytes or text to messages and back.

`decode_client` gives a message or raises `ClientFault`; nothing else comes out of it, whatever goes in.
"""

from __future__ import annotations

import re

import msgspec

from gateway.errors import ClientFault, Reason
from gateway.wire.messages import (
    SERVER_MESSAGE_TYPES,
    AudioSpec,
    ClientMessage,
    Endpointing,
    Finalize,
    Finish,
    Gap,
    KeepAlive,
    KeywordSpec,
    ResidencySpec,
    Resume,
    ServerMessage,
    Start,
    TextSpec,
)

MAX_JSON_BYTES = 65_536
"""Text messages are small; audio travels as binary messages. A start may carry a token."""


class _Typed(msgspec.Struct):
    type: str


TextMessage = Start | Gap | Finalize | Finish | KeepAlive

_client_decoder: msgspec.json.Decoder[TextMessage] = msgspec.json.Decoder(TextMessage)
_client_encoder = msgspec.json.Encoder()
_server_encoder = msgspec.json.Encoder()
_server_decoder: msgspec.json.Decoder[ServerMessage] = msgspec.json.Decoder(ServerMessage)
_typed_decoder = msgspec.json.Decoder(_Typed)
_SERVER_TYPES = frozenset(str(kind.__struct_config__.tag) for kind in SERVER_MESSAGE_TYPES)


_WITH_FIELDS = (Start, Gap, Finalize, AudioSpec, Endpointing, KeywordSpec, TextSpec, Resume, ResidencySpec)
_A_FIELD = "|".join(["type", *(name for kind in _WITH_FIELDS for name in kind.__struct_fields__)])
_PLACE = re.compile(rf" - at `(\$(?:\.(?:{_A_FIELD})|\[\d+\])*)`$")
_SAYS_NOTHING_GIVEN = re.compile(
    rf"Expected `[a-z0-9 |]+`(?:, got `[a-z]+`)?|(?:Number|Integer value) out of range|"
    rf"Object missing required field `(?:{_A_FIELD})`"
)


def decode_client(text: str | bytes) -> ClientMessage:
    """Read one text message.

    Raises:
        ClientFault: malformed_message, which says what is wrong and where, or message_too_large.
    """
    try:
        data = text.encode() if isinstance(text, str) else text
        if len(data) <= MAX_JSON_BYTES:
            return _client_decoder.decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ClientFault(Reason.malformed_message, _what_is_wrong(error)) from None
    raise ClientFault(Reason.message_too_large, f"a text message may have {MAX_JSON_BYTES} bytes")


def _what_is_wrong(error: Exception) -> str:
    """A sentence that does not repeat the client's bytes: they may hold a token."""
    if not isinstance(error, msgspec.ValidationError):
        return "a text message must be one JSON object with a `type`; audio goes into binary messages"
    text = str(error)
    place = _PLACE.search(text)
    what = text if place is None else text[: place.start()]
    # msgspec quotes an unknown field or `type` as the client wrote it.
    if what.startswith("Object contains unknown field"):
        what = "Object contains a field that the protocol does not have"
    elif what.startswith("Invalid value"):
        what = "Expected start, gap, finalize, finish or keepalive"
    elif _SAYS_NOTHING_GIVEN.fullmatch(what) is None:
        what = "Something is not as the protocol says"
    return f"the message breaks the protocol: {what}" + ("" if place is None else f" - at `{place[1]}`")


def encode_client(message: TextMessage) -> str:
    return _client_encoder.encode(message).decode()


def encode_server(message: ServerMessage) -> str:
    return _server_encoder.encode(message).decode()


def encode_server_utf8(message: ServerMessage) -> bytes:
    """The same text, as it travels."""
    return _server_encoder.encode(message)


def decode_server(text: str | bytes) -> ServerMessage:
    """For clients. Raises msgspec.DecodeError when a server does not speak the protocol."""
    return _server_decoder.decode(text)


def read_server(text: str | bytes) -> ServerMessage | None:
    """As `decode_server`; None: a message of a type that this version does not know, which clients pass over."""
    try:
        return decode_server(text)
    except msgspec.ValidationError:
        if _typed_decoder.decode(text).type in _SERVER_TYPES:
            raise
        return None
