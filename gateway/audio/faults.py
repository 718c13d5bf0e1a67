"""The refusals that audio can bring about, and the sentences in them."""

from __future__ import annotations

from gateway.errors import ClientFault, Reason

AUDIO_REASONS = frozenset(
    {Reason.bad_audio_format, Reason.misaligned_audio, Reason.undecodable_audio, Reason.message_too_large}
)
"""Every reason that a client's bytes can end a session for in this room."""


def undecodable(detail: str) -> ClientFault:
    return ClientFault(Reason.undecodable_audio, detail)


def bad_format(detail: str) -> ClientFault:
    return ClientFault(Reason.bad_audio_format, detail)
