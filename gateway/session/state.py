"""What the parts of a session share: who it is, its audio, what is final, which engine stream is current. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engines.interface import SAMPLES_PER_MS, OpenStream
from gateway.session.effects import Committed
from gateway.session.losses import UntoldLosses
from gateway.session.replay_buffer import ReplayBuffer
from gateway.session.transcript import Transcript
from gateway.session.upstream import Upstream
from gateway.session.version_pin import VersionPin
from gateway.wire.messages import PROTOCOL_VERSION, Migrated, Started

if TYPE_CHECKING:
    from engines.interface import Granted, StreamOptions
    from gateway.session.alarm import Alarm
    from gateway.session.effects import Effect
    from gateway.session.identity import SessionIdentity
    from gateway.session.limits import SessionLimits
    from gateway.session.quota import SessionQuota


class SessionState:
    """Begins at the identity's origin. Nothing in it decides anything."""

    __slots__ = (
        "alarm",
        "buffer",
        "epoch",
        "identity",
        "is_started",
        "limits",
        "losses",
        "pin",
        "quota",
        "resume_at",
        "transcript",
        "upstream",
    )

    def __init__(self, identity: SessionIdentity, limits: SessionLimits, quota: SessionQuota, alarm: Alarm) -> None:
        origin = identity.origin
        self.identity = identity
        self.limits = limits
        self.quota = quota
        quota.begin_at(origin)
        self.alarm = alarm
        self.buffer = ReplayBuffer(origin.start_sample)
        self.upstream = Upstream(self.buffer, least_samples=limits.least_audio_samples)
        self.upstream.allowed_sample = quota.through_sample
        self.transcript = Transcript(origin.start_sample)
        self.pin = VersionPin(identity.options, origin)
        self.epoch = origin.epoch
        """The highest one that was used."""
        self.losses = UntoldLosses()
        """For the client, once it was told of an engine."""
        self.is_started = False
        """Whether the client was told of an engine."""
        self.resume_at = identity.resume_at
        """Where the client may go on, by the policy that holds."""

    @property
    def is_new(self) -> bool:
        """No engine ever worked for the session, here or elsewhere."""
        return not self.is_started and not self.identity.origin.is_resumed

    def next_stream(self, options: StreamOptions) -> OpenStream:
        """From the commit point on; it has an epoch of its own."""
        self.epoch += 1
        return OpenStream(
            session_id=self.identity.session_id,
            tenant=self.identity.tenant,
            epoch=self.epoch,
            start_sample=self.transcript.committed_sample,
            options=options,
            tier=self.identity.tier,
            is_replay=not self.is_new,
        )

    def started(self, event: Granted, region: str) -> Started:
        """For the client. `region`: where the engine is."""
        identity, origin = self.identity, self.identity.origin
        return Started(
            session_id=identity.session_id,
            model=event.model,
            model_version=event.model_version,
            region=identity.region,
            protocol_version=PROTOCOL_VERSION,
            resume_token=identity.resume_token,
            resume_at=self.resume_at,
            resumed_from_sample=origin.start_sample if origin.is_resumed else None,
            engine_region=self._elsewhere(region),
        )

    def migrated(self, why: str, event: Granted, region: str, *, replayed_samples: int, pause_ms: int) -> Migrated:
        """For the client. `region`: where the engine is that goes on."""
        replayed_ms = replayed_samples // SAMPLES_PER_MS
        return Migrated(why, replayed_ms, pause_ms, event.model_version, self._elsewhere(region))

    @property
    def gateways_not_told(self) -> tuple[str, ...]:
        """Where the client may go on, if that is not where it was told."""
        return self.resume_at if self.is_started and self.resume_at != self.identity.resume_at else ()

    def _elsewhere(self, region: str) -> str:
        return "" if region == self.identity.region else region

    def commit_point(self) -> list[Effect]:
        """Where another gateway could take the session up; nothing for one that cannot be resumed."""
        if not self.identity.resume_token:
            return []
        committed_sample, charged_sample = self.transcript.committed_sample, self.quota.charged_through_sample
        return [Committed(committed_sample, charged_sample, self.epoch, self.pin.model, self.pin.version)]
