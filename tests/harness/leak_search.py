"""Looks for what was said in everything that was written: words and stretches of audio, in the forms that they take.

A needle that is shorter than `_LEAST_BYTES` would be found by chance; words that stand somewhere before anybody spoke
are no needles (`unheard_before`).
"""

from __future__ import annotations

import base64
import json
import mmap
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import redis

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tests.harness.recordings import Samples

_LEAST_BYTES = 6
_WORDS_AT_ONCE = 3
_STRETCH_SAMPLES = 48
_MU = 255.0


@dataclass(frozen=True, slots=True)
class Needle:
    """`form`: such as `utf-16-le`; `what`: the words, or where the audio is."""

    raw: bytes
    form: str
    what: str


def words_in(texts: Iterable[str]) -> list[Needle]:
    """Whole finals, three words in a row, and long words; in capitals and without."""
    found: dict[bytes, Needle] = {}
    for text in texts:
        words = text.split()
        rows = [" ".join(words[at : at + _WORDS_AT_ONCE]) for at in range(max(1, len(words) - _WORDS_AT_ONCE + 1))]
        for phrase in {text, *rows, *(word.strip(".,?!") for word in words if len(word) >= _LEAST_BYTES + 1)}:
            for written in {phrase, phrase.lower(), phrase.upper()}:
                for form, raw in _forms_of_text(written):
                    if len(raw) >= _LEAST_BYTES:
                        found.setdefault(raw, Needle(raw, form, phrase))
    return list(found.values())


def _forms_of_text(text: str) -> Iterator[tuple[str, bytes]]:
    yield "utf-8", text.encode()
    yield "utf-16-le", text.encode("utf-16-le")
    yield "utf-16-be", text.encode("utf-16-be")
    yield "json", json.dumps(text)[1:-1].encode()
    yield "json \\u", "".join(f"\\u{ord(letter):04x}" for letter in text).encode()
    yield from _base64_of(text.encode())


def _base64_of(raw: bytes) -> Iterator[tuple[str, bytes]]:
    """At each of the three places that it can begin at; what depends on neighbours is left out."""
    for skipped in range(3):
        inner = raw[skipped : skipped + (len(raw) - skipped) // 3 * 3]
        encoded = base64.b64encode(inner)
        if len(encoded) >= 2 * _LEAST_BYTES:
            yield "base64", encoded


def audio_in(samples: Samples, *, stretches: int = 12) -> list[Needle]:
    """The loudest stretches of some places: 16-bit samples, floats, mu-law, and base64 of the samples."""
    found: list[Needle] = []
    for part in np.array_split(samples, stretches):
        if len(part) < 2 * _STRETCH_SAMPLES:
            continue
        loud = int(np.argmax(np.abs(part[:-_STRETCH_SAMPLES].astype(np.int32))))
        stretch = part[loud : loud + _STRETCH_SAMPLES]
        what = f"{_STRETCH_SAMPLES} samples"
        found += [Needle(raw, form, what) for form, raw in _forms_of_audio(stretch)]
    return found


def _forms_of_audio(stretch: Samples) -> Iterator[tuple[str, bytes]]:
    pcm16 = stretch.astype("<i2").tobytes()
    yield "pcm16", pcm16
    yield "pcm16 be", stretch.astype(">i2").tobytes()
    yield "float32", (stretch.astype("<f4") / np.float32(32_768)).tobytes()
    yield "float32 of 16 bits", stretch.astype("<f4").tobytes()
    yield "mu-law", mu_law(stretch)
    yield from _base64_of(pcm16)
    yield "hex", pcm16.hex().encode()


def mu_law(samples: Samples) -> bytes:
    """ITU-T G.711, 8 bits a sample."""
    magnitude = np.minimum(np.abs(samples.astype(np.int32)) + 132, 32_767)
    exponent = np.floor(np.log2(magnitude)).astype(np.int32) - 7
    mantissa = (magnitude >> (exponent + 3)) & 0x0F
    sign = np.where(samples < 0, 0x80, 0)
    encoded: bytes = (~(sign | (exponent << 4) | mantissa) & 0xFF).astype(np.uint8).tobytes()
    return encoded


def unheard_before(needles: Iterable[Needle], folders: Iterable[Path]) -> list[Needle]:
    """Those of which nothing is there yet."""
    known = {needle.raw for needle, _path in search(list(needles), folders)}
    return [needle for needle in needles if needle.raw not in known]


def search(needles: list[Needle], folders: Iterable[Path]) -> list[tuple[Needle, Path]]:
    """Every needle that is in any file below these folders, or in the name of one."""
    found = []
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            named = path.name.encode()
            found += [(needle, path) for needle in needles if needle.raw in named]
            if path.is_file() and not path.is_symlink() and path.stat().st_size:
                with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as raw:
                    found += [(needle, path) for needle in needles if raw.find(needle.raw) >= 0]
    return found


def dump_redis(socket: str, into: Path) -> int:
    """Everything that Redis holds, as it is, in a file; how many keys there were. Its own dump would compress."""
    with redis.Redis(unix_socket_path=socket, socket_timeout=5) as client, into.open("wb") as file:
        keys = list(client.scan_iter(count=1_000))
        for key in keys:
            file.write(key + b"\n" + _flat(_value(client, key)) + b"\n")
    return len(keys)


def _value(client: redis.Redis, key: bytes) -> object:
    read = {
        b"string": lambda: client.get(key),
        b"hash": lambda: client.hgetall(key),
        b"set": lambda: client.smembers(key),
        b"zset": lambda: client.zrange(key, 0, -1),
        b"list": lambda: client.lrange(key, 0, -1),
        b"stream": lambda: client.xrange(key),
    }
    return read[client.type(key)]()


def _flat(value: object) -> bytes:
    match value:
        case bytes():
            return value
        case dict():
            return b"\n".join(_flat(part) for pair in value.items() for part in pair)
        case list() | tuple() | set():
            return b"\n".join(_flat(part) for part in value)
        case _:
            return str(value).encode()
