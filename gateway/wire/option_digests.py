"""What a session was asked to do, short enough to travel in its resume token: a digest of each option that was given.

A resumed session must ask for the same, and hear which option differs. An option that was left out has no digest, so
that gateways with other defaults agree. Pure.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from gateway.wire.messages import Start

if TYPE_CHECKING:
    from collections.abc import Mapping

_OPTIONS = (
    *("language", "model", "model_version", "partials", "endpointing", "max_utterance_ms"),
    *("decoding", "keywords", "text", "residency"),
)
"""Not how the audio is written: a client may encode what it sends again in another way."""
_DIGEST_BYTES = 6
_STANDARD = Start()


def option_digests(start: Start) -> dict[str, str]:
    """For each option that is not at its default: 12 hexadecimal digits."""
    digests = {}
    for name in _OPTIONS:
        value = getattr(start, name)
        if value != getattr(_STANDARD, name):
            digests[name] = hashlib.blake2b(msgspec.json.encode(value), digest_size=_DIGEST_BYTES).hexdigest()
    return digests


def different_options(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """The names of the options that are not the same in both, in the order of `start`."""
    return [name for name in _OPTIONS if before.get(name) != after.get(name)]
