"""Where a session begins on its audio clock: at nought, or where another gateway left it. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SessionOrigin:
    """Positions are samples of the session's audio clock.

    Attributes:
        is_resumed: another gateway had the session before.
        start_sample: everything before it is final, and the client has it.
        epoch: the highest one used so far.
        free_from_sample, charged_through_sample: recognition of what lies between them was charged before; heard again,
            it is not.
        model, model_version: what the audio was heard by that is sent again; empty if nothing was.
    """

    is_resumed: bool = False
    start_sample: int = 0
    epoch: int = 0
    free_from_sample: int = 0
    charged_through_sample: int = 0
    model: str = ""
    model_version: str = ""
