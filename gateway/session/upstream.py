"""The engine's side of a session: which engine stream is current, what it was sent, which cuts it still owes.

These must stay true: audio and cuts reach an engine in order and only after it granted the slot; at most its window of
audio runs ahead of what it has consumed; after a loss everything unfinalised is sent again to the next one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

from gateway.session.effects import CutEngine, SendAudio
from gateway.session.quota import UNLIMITED_SAMPLE

if TYPE_CHECKING:
    from engines.interface import Granted
    from gateway.session.effects import Effect
    from gateway.session.replay_buffer import ReplayBuffer


class Link(Enum):
    """Where the current engine stream stands."""

    none = auto()
    asked = auto()
    granted = auto()


@dataclass(slots=True)
class Cut:
    """An utterance must end at `at_sample`; `ids` are the client's names for the request."""

    at_sample: int
    asked_at_ms: int
    ids: list[str]
    is_last: bool = False
    is_sent: bool = False

    def unsent(self) -> Cut:
        """The same for another engine."""
        return Cut(self.at_sample, self.asked_at_ms, self.ids.copy(), self.is_last)


class Upstream:
    """Feeds one engine after another from the replay buffer."""

    __slots__ = (
        "_buffer",
        "_least_samples",
        "_window_samples",
        "allowed_sample",
        "consumed_sample",
        "cuts",
        "epoch",
        "link",
    )

    def __init__(self, buffer: ReplayBuffer, *, least_samples: int) -> None:
        self._buffer = buffer
        self._least_samples = least_samples
        self._window_samples = 0
        self.allowed_sample = UNLIMITED_SAMPLE
        """Audio before this may be sent: compute is granted for it (gateway.session.quota)."""
        self.consumed_sample = buffer.start_sample
        self.cuts: list[Cut] = []
        self.epoch = 0
        self.link = Link.none

    def ask(self, epoch: int) -> None:
        """A new engine stream is opened; events of other epochs are no longer ours."""
        self.epoch = epoch
        self.link = Link.asked

    def granted(self, event: Granted) -> None:
        self.link = Link.granted
        self._window_samples = event.window_samples
        self.consumed_sample = self._buffer.start_sample

    def consumed(self, through_sample: int) -> None:
        """The engine is done with the audio before this; its window moves on."""
        self.consumed_sample = max(self.consumed_sample, through_sample)

    def fork(self, buffer: ReplayBuffer) -> Upstream:
        """For a second engine, which is to be sent the same from `buffer` (ReplayBuffer.fork)."""
        fork = Upstream(buffer, least_samples=self._least_samples)
        fork.allowed_sample = self.allowed_sample
        fork.cuts = [cut.unsent() for cut in self.cuts]
        return fork

    def adopt(self, other: Upstream) -> None:
        """Go on with the other's engine stream; the buffer has adopted the other's. What is confirmed is gone."""
        self.epoch = other.epoch
        self.link = other.link
        self._window_samples = other._window_samples
        self.consumed_sample = other.consumed_sample
        self.cuts = [cut for cut in other.cuts if cut.at_sample > self._buffer.start_sample]

    def lost(self) -> None:
        self.link = Link.none
        self._buffer.rewind()
        for cut in self.cuts:
            cut.is_sent = False

    def pump(self) -> list[Effect]:
        """Send what may be sent now."""
        if self.link is not Link.granted:
            return []
        effects: list[Effect] = []
        limit = min(self.consumed_sample + self._window_samples, self.allowed_sample)
        if self.cuts and not self._send_cuts(limit, effects):
            return effects
        buffer = self._buffer
        # A client's tiny pieces go together: each message to an engine costs the same, whatever is in it.
        if buffer.end_sample - buffer.sent_sample >= self._least_samples:
            pcm16 = buffer.take_unsent(limit)
            if pcm16:
                effects.append(SendAudio(pcm16))
        return effects

    def _send_cuts(self, limit: int, effects: list[Effect]) -> bool:
        """Each cut with the audio before it; whether all are out."""
        for cut in self.cuts:
            if cut.is_sent:
                continue
            pcm16 = self._buffer.take_unsent(min(limit, cut.at_sample))
            if pcm16:
                effects.append(SendAudio(pcm16))
            if self._buffer.sent_sample < cut.at_sample:
                return False
            cut.is_sent = True
            effects.append(CutEngine(cut.at_sample, cut.is_last))
        return True

    @property
    def waits_for_credit(self) -> bool:
        """Whether audio is there that no compute is granted for."""
        return self._buffer.sent_sample >= self.allowed_sample and self._buffer.end_sample > self._buffer.sent_sample

    def end_at_allowed(self) -> int:
        """Nothing beyond what may be sent now will be. Returns where that is; cuts behind it are forgotten."""
        end_sample = max(self._buffer.sent_sample, min(self.allowed_sample, self._buffer.end_sample))
        self.allowed_sample = end_sample
        self.cuts = [cut for cut in self.cuts if cut.at_sample <= end_sample]
        return end_sample

    def add_cut(self, cut: Cut) -> None:
        """Cuts come in the order of their positions; two at one position are one, even if the first is under way:
        the final that confirms it confirms both.
        """
        if self.cuts and self.cuts[-1].at_sample == cut.at_sample:
            self.cuts[-1].ids.extend(cut.ids)
            self.cuts[-1].is_last = self.cuts[-1].is_last or cut.is_last
            return
        self.cuts.append(cut)

    def confirmed_cuts(self, committed_sample: int) -> list[Cut]:
        """Take out the cuts that a commit up to `committed_sample` fulfils."""
        done = [cut for cut in self.cuts if cut.at_sample <= committed_sample]
        self.cuts = [cut for cut in self.cuts if cut.at_sample > committed_sample]
        return done

    def owes_an_answer(self, *, stall_samples: int, full_samples: int) -> bool:
        """Whether a living engine would have to say something soon. `full_samples`: audio in which an utterance ends,
        however long it is.
        """
        if self.link is not Link.granted:
            return False
        sent_sample = self._buffer.sent_sample
        if (
            sent_sample - self.consumed_sample > stall_samples
            or sent_sample - self._buffer.start_sample >= full_samples
        ):
            return True
        return bool(self.cuts) and any(cut.is_sent for cut in self.cuts)
