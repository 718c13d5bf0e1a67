"""The border between those who keep words and where they are kept.

A store knows nothing of policy: what may be kept or erased is decided by gateway.transcripts.keeping. Its methods
block; one thread at a time calls them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from policies.residency.deciding.table import DecisionTable
    from policies.residency.decision import Situation


class StoreFailed(Exception):
    """Nothing was kept, read or erased. `reason` is one of `disk`, `full`, `erased`, `damaged`, `key`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class KeptFinal(msgspec.Struct, frozen=True, array_like=True):
    """One final, as the client was told it; times in the recording."""

    start_ms: int
    end_ms: int
    text: str


class KeptSession(msgspec.Struct, frozen=True, kw_only=True):
    """What is readable of a session without a key: no words, and no name of anybody.

    Attributes:
        project: `ORG/PROJECT`.
        subject: the pseudonym of whoever is spoken of; given by the store.
        begun_at_s, keep_until_s: Unix seconds.
        policy_digest: of the bundle that permitted it.
    """

    session: str
    project: str
    region: str
    begun_at_s: int
    keep_until_s: int
    data_class: str = ""
    policy_digest: str = ""
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Transcript:
    """`is_complete`: its session ended in order, and nothing of it is missing."""

    session: KeptSession
    finals: tuple[KeptFinal, ...]
    is_complete: bool


@dataclass(frozen=True, slots=True)
class Swept:
    """What one sweep did. `held`: sessions whose time is over and that may not go."""

    erased: tuple[KeptSession, ...] = ()
    held: tuple[KeptSession, ...] = ()


@dataclass(frozen=True, slots=True)
class Spoken:
    """A session that could be kept. `subject_id`: whoever is spoken of, as the caller names him; empty: nobody."""

    session: str
    situation: Situation
    subject_id: str


class TranscriptStore(Protocol):
    """Each method raises StoreFailed."""

    def begin(self, session: KeptSession, subject_id: str) -> None:
        """Make room for a session's words, under a key of its subject's."""

    def keep(self, session_id: str, finals: Sequence[KeptFinal]) -> None:
        """Add these, all or none; on the disk when this returns."""

    def end(self, session_id: str, *, is_complete: bool) -> None:
        """Nothing follows."""

    def sessions(self) -> list[KeptSession]:
        """All that are there, oldest first."""

    def read(self, session_id: str) -> list[Transcript]:
        """What is kept of a session: more than one piece where several gateways had it; none where nothing is."""

    def erase(self, project: str, subject_id: str) -> int:
        """Destroy the subject's key, and so every copy of its words; then the words. How many pieces there were."""

    def sweep(self, now_s: float, may_erase: Callable[[KeptSession], bool]) -> Swept:
        """Erase what is over, as far as it may go, and finish erasures that were cut off."""

    def rewrap(self) -> int:
        """Put subjects' keys under the region's current key; how many were not yet."""


class BundleInForce(Protocol):
    """What is asked of gateway.residency.in_force.BundlesInForce."""

    @property
    def table(self) -> DecisionTable | None:
        """None: no bundle is in force now, and nothing is permitted."""
