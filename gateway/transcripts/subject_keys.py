"""A key for each subject, wrapped by its region's: who destroys it has erased the subject's words, in every copy.

The file `key` in the subject's folder is JSON: the name of the region's key, and the sealed 32 bytes.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from typing import TYPE_CHECKING

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.transcripts.interface import StoreFailed
from gateway.transcripts.region_keys import KEY_BYTES

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.transcripts.region_keys import RegionKeys

FILE_NAME = "key"
_NONCE_BYTES = 12
_MAX_BYTES = 1_024


class _Wrapped(msgspec.Struct, frozen=True, kw_only=True):
    v: int = 1
    by: str
    sealed: bytes


def key_of(folder: Path, keys: RegionKeys) -> bytes:
    """The subject's key; made if there is none. Several processes get the same one. Raises StoreFailed."""
    path = folder / FILE_NAME
    try:
        return _unwrap(path.read_bytes(), folder.name, keys)
    except FileNotFoundError:
        pass
    except OSError:
        raise StoreFailed("disk") from None
    made = secrets.token_bytes(KEY_BYTES)
    beside = folder / f".key.{secrets.token_hex(4)}.new"
    try:
        write_whole(beside, _wrap(made, folder.name, keys))
        try:
            os.link(beside, path)
        except FileExistsError:
            return _unwrap(path.read_bytes(), folder.name, keys)
        finally:
            beside.unlink()
        sync_folder(folder)
    except OSError:
        raise StoreFailed("disk") from None
    return made


def existing_key(folder: Path, keys: RegionKeys) -> bytes:
    """Raises StoreFailed: `erased` where there is none."""
    try:
        return _unwrap((folder / FILE_NAME).read_bytes(), folder.name, keys)
    except FileNotFoundError:
        raise StoreFailed("erased") from None
    except OSError:
        raise StoreFailed("disk") from None


def rewrap(folder: Path, keys: RegionKeys) -> bool:
    """Put it under the region's current key; False: it was so already. Raises StoreFailed."""
    path = folder / FILE_NAME
    try:
        raw = path.read_bytes()
        if _read(raw).by == keys.current:
            return False
        beside = folder / f".key.{secrets.token_hex(4)}.new"
        write_whole(beside, _wrap(_unwrap(raw, folder.name, keys), folder.name, keys))
        beside.replace(path)
        sync_folder(folder)
    except FileNotFoundError:
        return False
    except OSError:
        raise StoreFailed("disk") from None
    return True


def destroy(folder: Path) -> None:
    """From here on nobody reads the subject's words. Raises OSError."""
    path = folder / FILE_NAME
    with contextlib.suppress(FileNotFoundError):
        with path.open("r+b") as file:  # a disk that writes in place forgets it at once
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            file.write(secrets.token_bytes(size))
            file.flush()
            os.fsync(file.fileno())
        path.unlink()
    sync_folder(folder)


def write_whole(path: Path, raw: bytes) -> None:
    """On the disk when this returns, readable by its user alone. Raises OSError: also where the file is there."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        path.unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _wrap(key: bytes, subject: str, keys: RegionKeys) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    sealed = nonce + AESGCM(keys.by_name[keys.current]).encrypt(nonce, key, _bound_to(subject, keys.current))
    return msgspec.json.encode(_Wrapped(by=keys.current, sealed=sealed))


def _unwrap(raw: bytes, subject: str, keys: RegionKeys) -> bytes:
    wrapped = _read(raw)
    region_key = keys.by_name.get(wrapped.by)
    if region_key is None:
        raise StoreFailed("key")
    nonce, sealed = wrapped.sealed[:_NONCE_BYTES], wrapped.sealed[_NONCE_BYTES:]
    try:
        return AESGCM(region_key).decrypt(nonce, sealed, _bound_to(subject, wrapped.by))
    except (InvalidTag, ValueError):
        raise StoreFailed("damaged") from None


def _read(raw: bytes) -> _Wrapped:
    if len(raw) > _MAX_BYTES:
        raise StoreFailed("damaged")
    try:
        return msgspec.json.decode(raw, type=_Wrapped)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise StoreFailed("damaged") from None


def _bound_to(subject: str, region_key: str) -> bytes:
    return f"patchbay subject key v1\0{region_key}\0{subject}".encode()
