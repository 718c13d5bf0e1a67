"""Sessions that go on: who may take which one up, where it begins here, and what its client is told for the next time.

The order must stay: the caller's own token (admission), the resume token, whose session it is, then the claim. Nobody
learns of a session that is not his whether it exists.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from engines.interface import SAMPLES_PER_MS
from gateway.errors import ClientFault, Reason
from gateway.resumption.interface import CommitPoint
from gateway.resumption.resume_token import ResumeClaims, ResumeTokens
from gateway.session.origin import SessionOrigin
from gateway.wire.option_digests import different_options

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gateway.resumption.interface import CommitLog, CommitPoints
    from gateway.resumption.settings import ResumptionSettings
    from gateway.resumption.token_keys import TokenKeys
    from gateway.wire.handshake import ResumeRequest, SessionRequest
    from policies.facts import Caller
    from policies.residency.decision import Situation

log = structlog.get_logger("gateway")

_EPOCHS_APART = 1_000
"""Between the epochs of a gateway whose last one is not known exactly and those of the next."""


@dataclass(frozen=True, slots=True)
class Continued:
    """A session that goes on here. `point` None: nobody but its client knows where it stood."""

    token: str
    claims: ResumeClaims
    point: CommitPoint | None
    _own_mark: str = field(default_factory=lambda: secrets.token_hex(4))

    def __repr__(self) -> str:
        return f"Continued(session_id={self.claims.session_id})"  # never the token

    @property
    def generation(self) -> int:
        """Above that of whoever made the token, also where only an older gateway's point was found."""
        return max(self.claims.generation + 1, 0 if self.point is None else self.point.generation)

    @property
    def tab_id(self) -> str:
        """Another one than at any gateway that has or had it: each one's bill is its own. Where two take up the same
        generation, because neither could ask, it also says which of them has the session.
        """
        return f"{self.claims.session_id}.{self.generation}.{self._own_mark}"


@dataclass(frozen=True, slots=True)
class SessionNote:
    """What a new session is noted by. `continued` None: it begins. `permitted`: regions that may keep where it
    stands. `situation`: what policy was asked about.
    """

    session_id: str
    tab_id: str
    caller: Caller
    permitted: frozenset[str]
    options: Mapping[str, str]
    continued: Continued | None
    longest_session_ms: int
    situation: Situation | None = None


class Resumption:
    """One per process. `now_s`: Unix seconds."""

    def __init__(
        self,
        settings: ResumptionSettings,
        keys: TokenKeys,
        points: CommitPoints,
        *,
        region: str,
        now_s: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._tokens = ResumeTokens(keys)
        self._points = points
        self._region = region
        self._now_s = now_s

    async def take_up(self, token: str, caller: Caller) -> Continued:
        """Make a session this gateway's. Whoever had it loses it, also if it does not begin here after all.

        Raises:
            ClientFault: `resume_token_invalid`, also for a session of somebody else; `resume_expired`;
                `resume_not_possible`: his policy was another one.
        """
        claims = self._tokens.read(token, now_s=int(self._now_s()))
        if (claims.org, claims.project) != (caller.tenant, caller.project):
            raise ClientFault(Reason.resume_token_invalid)
        if claims.profile != caller.residency_profile:
            raise ClientFault(
                Reason.resume_not_possible, "the session began under another residency profile; open a new one"
            )
        return Continued(token, claims, await self._points.claim(claims.session_id, claims.org, claims.home))

    def origin_of(self, continued: Continued, request: SessionRequest) -> SessionOrigin:
        """Where the session begins here.

        Raises:
            ClientFault: `bad_option`: it asks for something else than it did, or skips too much.
        """
        resume = request.resume
        if resume is None:
            raise ClientFault(Reason.bad_option, "a request with `Patchbay-Resume` needs `resume` in `start`")
        if resume.token != continued.token:
            raise ClientFault(Reason.bad_option, "`Patchbay-Resume` and resume.token differ")
        different = different_options(continued.claims.options, request.option_digests)
        if different:
            raise ClientFault(
                Reason.bad_option,
                f"a session goes on with the options that it began with; {', '.join(different)}: not so",
            )
        if resume.skipped_samples > self._settings.max_skipped_ms * SAMPLES_PER_MS:
            raise ClientFault(
                Reason.bad_option,
                f"resume.audio_from_ms may lie {self._settings.max_skipped_ms} ms before from_sample at most",
            )
        return _origin(continued.point, resume)

    def left_ms(self, continued: Continued, longest_session_ms: int) -> int:
        """How long the session may still last, counted from its beginning at its first gateway.

        Raises:
            ClientFault: `resume_expired`: no longer.
        """
        elapsed_ms = max(0, int((self._now_s() - continued.claims.began_at_s) * 1_000))
        if elapsed_ms >= longest_session_ms:
            raise ClientFault(Reason.resume_expired, "the session has lasted as long as it may; open a new one")
        return longest_session_ms - elapsed_ms

    def resume_at(self, named: tuple[str, ...]) -> tuple[str, ...]:
        """For `started`. `named`: what the catalog says, nearest first; empty where there is none."""
        believers = named if self._settings.has_keys else ()  # nobody else believes a key of this process's own
        return believers or self._settings.resume_at

    def token_for(self, note: SessionNote) -> str:
        """For `started`."""
        continued, now_s = note.continued, int(self._now_s())
        began_at_s = now_s if continued is None else continued.claims.began_at_s
        return self._tokens.sign(
            ResumeClaims(
                session_id=note.session_id,
                org=note.caller.tenant,
                project=note.caller.project,
                home=self._region,
                profile=note.caller.residency_profile,
                generation=1 if continued is None else continued.generation,
                began_at_s=began_at_s,
                expires_at_s=began_at_s + note.longest_session_ms // 1_000 + self._settings.ttl_s,
                options=dict(note.options),
            )
        )

    def open(self, note: SessionNote, origin: SessionOrigin, on_superseded: Callable[[], None]) -> SessionPoints:
        """The session is here: where it stands is noted from here on."""
        point = CommitPoint(
            session_id=note.session_id,
            org=note.caller.tenant,
            generation=1 if note.continued is None else note.continued.generation,
            committed_sample=max(origin.start_sample, origin.free_from_sample),
            charged_through_sample=origin.charged_through_sample,
            epoch=origin.epoch,
            model=origin.model,
            model_version=origin.model_version,
            tab_id=note.tab_id,
            situation=note.situation,
        )
        return SessionPoints(self._points.open(point, note.permitted, on_superseded), point)


class SessionPoints:
    """SessionCommits of a runner: turns its news into commit points."""

    __slots__ = ("_first", "_log", "_situation")

    def __init__(self, commit_log: CommitLog, first: CommitPoint) -> None:
        self._log = commit_log
        self._first = first
        self._situation = first.situation

    def commit(
        self, *, committed_sample: int, charged_through_sample: int, epoch: int, model: str, model_version: str
    ) -> None:
        first = self._first
        self._log.commit(
            CommitPoint(
                session_id=first.session_id,
                org=first.org,
                generation=first.generation,
                tab_id=first.tab_id,
                # Never back, or what is free would grow by resuming.
                committed_sample=max(first.committed_sample, committed_sample),
                charged_through_sample=charged_through_sample,
                epoch=epoch,
                model=model,
                model_version=model_version,
                situation=self._situation,
            )
        )

    def permit(self, permitted: frozenset[str], situation: Situation) -> None:
        """Only these regions may keep where it stands from here on."""
        self._situation = situation
        self._log.permit(permitted, situation)

    def close(self, reason: Reason) -> None:
        self._log.close(is_finished=reason is Reason.finished)


def _origin(point: CommitPoint | None, resume: ResumeRequest) -> SessionOrigin:
    """The client knows best which finals it has: it is always begun where it says.

    Free is only what was charged for after the last final that is known of: a client that goes back further hears its
    finals again and pays for them again, so that nobody is recognised for nothing by resuming again and again.
    """
    if point is None:
        return SessionOrigin(is_resumed=True, start_sample=resume.from_sample, epoch=_EPOCHS_APART)
    return SessionOrigin(
        is_resumed=True,
        start_sample=resume.from_sample,
        epoch=point.epoch + _EPOCHS_APART,
        free_from_sample=max(resume.from_sample, point.committed_sample),
        charged_through_sample=point.charged_through_sample,
        model=point.model,
        model_version=point.model_version,
    )
