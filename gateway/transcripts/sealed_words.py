"""How the words of one piece of a session lie in a file: a header in the clear, then frames that are sealed.

    {"v":1,"file":…,"session":…,…}\\n      what is known without a key (KeptSession), and the file's own id
    length (4 bytes, big endian) ciphertext    one for each batch of finals; the last one says that it is the last

Each file has a key of its own, derived from its subject's by the file's id, so that no two frames share key and nonce:
the nonce is the frame's number. The header and the number are authenticated with each frame (AES-256-GCM). A frame that
was cut off is no frame; one that was changed, moved or taken from another file does not open.
"""

from __future__ import annotations

import secrets
import struct
from dataclasses import dataclass

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.transcripts.interface import KeptFinal, KeptSession, StoreFailed, Transcript

MAX_HEADER_BYTES = 4_096
_VERSION = 1
_INFO = b"patchbay transcript file v1"
_LENGTH = struct.Struct(">I")
_MAX_FRAME_BYTES = 2**26
_ID_BYTES = 16


class _Header(msgspec.Struct, frozen=True, kw_only=True):
    v: int = _VERSION
    file: str
    kept: KeptSession


class _Frame(msgspec.Struct, frozen=True, array_like=True):
    finals: tuple[KeptFinal, ...]
    is_last: bool = False
    is_complete: bool = False


_HEADER = msgspec.json.Decoder(_Header)
_FRAME = msgspec.msgpack.Decoder(_Frame)


@dataclass(slots=True)
class WordSealer:
    """Of one file that is being written; `header` goes before its frames."""

    header: bytes
    _key: AESGCM
    _number: int = 0

    def seal(self, finals: tuple[KeptFinal, ...], *, is_last: bool = False, is_complete: bool = False) -> bytes:
        """The next frame. Call `taken` once it is in the file: until then the same number is given again, and what it
        stood for is not to be kept.
        """
        plain = msgspec.msgpack.encode(_Frame(finals, is_last, is_complete))
        # A batch that failed and another one may be sealed under one number: a random half keeps nonces apart.
        nonce = secrets.token_bytes(8) + self._number.to_bytes(4, "big")
        sealed = nonce + self._key.encrypt(nonce, plain, _bound_to(self.header, self._number))
        return _LENGTH.pack(len(sealed)) + sealed

    def taken(self) -> None:
        self._number += 1


def new_sealer(subject_key: bytes, session: KeptSession) -> WordSealer:
    file_id = secrets.token_hex(_ID_BYTES)
    header = msgspec.json.encode(_Header(file=file_id, kept=session)) + b"\n"
    if len(header) > MAX_HEADER_BYTES:
        raise StoreFailed("damaged")
    return WordSealer(header, _file_key(subject_key, file_id))


def read_header(raw: bytes) -> tuple[KeptSession, bytes]:
    """What is known without a key, and the header's bytes. Raises StoreFailed: `damaged`."""
    line, end, _ = raw[:MAX_HEADER_BYTES].partition(b"\n")
    try:
        header = _HEADER.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise StoreFailed("damaged") from None
    if not end or header.v != _VERSION:
        raise StoreFailed("damaged")
    return header.kept, line + end


def open_words(raw: bytes, subject_key: bytes) -> Transcript:
    """Raises StoreFailed: `damaged`."""
    session, header = read_header(raw)
    key = _file_key(subject_key, _HEADER.decode(header.rstrip(b"\n")).file)
    finals: list[KeptFinal] = []
    place, number, is_complete = len(header), 0, False
    while place + _LENGTH.size <= len(raw):
        (length,) = _LENGTH.unpack_from(raw, place)
        place += _LENGTH.size
        sealed = raw[place : place + length]
        if length > _MAX_FRAME_BYTES or len(sealed) < length:
            break  # its writing was cut off
        frame = _open(key, sealed, header, number)
        finals += frame.finals
        place, number = place + length, number + 1
        if frame.is_last:
            is_complete = frame.is_complete
            break
    return Transcript(session, tuple(finals), is_complete)


def _open(key: AESGCM, sealed: bytes, header: bytes, number: int) -> _Frame:
    try:
        plain = key.decrypt(sealed[:12], sealed[12:], _bound_to(header, number))
        return _FRAME.decode(plain)
    except (InvalidTag, ValueError, msgspec.DecodeError):
        raise StoreFailed("damaged") from None


def _bound_to(header: bytes, number: int) -> bytes:
    return header + number.to_bytes(4, "big")


def _file_key(subject_key: bytes, file_id: str) -> AESGCM:
    derived = HKDF(hashes.SHA256(), 32, salt=file_id.encode("ascii", "replace"), info=_INFO).derive(subject_key)
    return AESGCM(derived)
