"""What crosses the border of an engine: how a stream is opened, and the events it gives.

Positions are sample numbers on the session's audio clock (16 kHz, mono), never wall time. These must stay true:
  - The finals of one stream tile its audio: the first starts at `OpenStream.start_sample`, each next one where the
    last one ended. A final without words is a piece of silence that is done with.
  - A recogniser forgets everything at the end of a final. Audio replayed from there to any replica of the same model
    version gives the same events, whatever the chunking of the audio and whoever shares the batch.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from policies.routing_facts import CapacityClass

SAMPLE_RATE_HZ = 16_000
SAMPLES_PER_MS = SAMPLE_RATE_HZ // 1_000
BYTES_PER_SAMPLE = 2
MAX_DETAIL_CHARS = 500
"""Of the sentence that goes with a refusal; both sides of a link cut what is longer."""


class EndReason(StrEnum):
    """Why an utterance ended where it did."""

    pause_after_speech = "pause_after_speech"
    silence_without_speech = "silence_without_speech"
    max_length = "max_length"
    finalize = "finalize"
    """The gateway asked for a cut at this sample."""
    finish = "finish"
    """The stream's audio ended here."""


class RefusalReason(StrEnum):
    """Why an engine, or the link to it, would not take a stream."""

    no_free_slot = "no_free_slot"
    draining = "draining"
    unknown_model = "unknown_model"
    unsupported_language = "unsupported_language"
    bad_options = "bad_options"
    unreachable = "unreachable"
    paced = "paced"
    """It is not the session's turn yet. Placement says this, engines do not; `retry_after_ms` is set."""
    no_permitted_region = "no_permitted_region"
    """None of the regions that the caller's policy set holds recognises now. Placement says this, engines do not."""
    not_permitted = "not_permitted"
    """The placement grant is missing, wrong or of another session, or does not permit this region or machine. Nobody
    should have asked: it is a fault at the gateway, and no fault of the engine's.
    """


class LossReason(StrEnum):
    """Why a granted stream will give no more events. All are resumable: its unfinalised audio may be replayed."""

    link_lost = "link_lost"
    """The connection to the engine broke."""
    silent = "silent"
    """The engine took audio and answered nothing for its liveness budget."""
    engine_failed = "engine_failed"
    """The engine said that it could not go on with this stream."""
    protocol_broken = "protocol_broken"
    """The engine sent something that it may not send: it counts as lost."""
    drained = "drained"
    """The engine is going away and hands the stream back."""
    slow = "slow"
    """The engine fell behind its audio, and the session left it. Sessions say this, engines and links do not."""


class MoveReason(StrEnum):
    """Why a session should go on elsewhere although its engine still works."""

    engine_draining = "engine_draining"
    region_draining = "region_draining"
    engine_slow = "engine_slow"
    """It falls behind its audio."""
    outside_policy = "outside_policy"
    """The caller's policy set does not hold its region any more."""
    operator = "operator"


class Decoding(StrEnum):
    """How words are found in what the model says."""

    greedy = "greedy"
    """The best piece of each row; never revised."""
    beam = "beam"
    """Prefix beam search: more compute, and the newest words of a partial may change."""


class ProfanityHandling(StrEnum):
    """What becomes of profane words."""

    keep = "keep"
    mask = "mask"
    """The first letter stays, the others become `*`."""
    remove = "remove"


class RedactionKind(StrEnum):
    """What may be hidden from partials and finals alike."""

    card_number = "card_number"
    phone_number = "phone_number"
    email = "email"
    iban = "iban"
    national_id = "national_id"


class Keyword(msgspec.Struct, frozen=True):
    """A phrase that is more likely than the model thinks.

    `boost_permille`: thousandths of a natural logarithm added for each of its pieces; negative makes it less likely.
    """

    phrase: str
    boost_permille: int = 2_000


class TextOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How recognised words are written. All off: the words as the model spells them."""

    numerals: bool = False
    """Inverse text normalisation: numbers, money, dates and times in digits."""
    punctuation: bool = False
    """Casing and punctuation by rules."""
    profanity: ProfanityHandling = ProfanityHandling.keep
    redact: tuple[RedactionKind, ...] = ()


class StreamOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How one session wants to be recognised; the same for every replay of it."""

    model: str = ""
    """Name of a loaded model; empty means the engine's default."""
    model_version: str = ""
    """Pins the session to one version of the model; empty means whichever the engine chooses for it."""
    language: str = ""
    """BCP 47, e.g. `en`; empty means the model's own."""
    wants_partials: bool = True
    min_trailing_silence_ms: int = 800
    max_silence_without_speech_ms: int = 5_000
    """An utterance in which nobody speaks is let go after so long."""
    max_utterance_ms: int = 30_000
    decoding: Decoding = Decoding.greedy
    keywords: tuple[Keyword, ...] = ()
    text: TextOptions = TextOptions()


class OpenStream(msgspec.Struct, frozen=True, kw_only=True):
    """Ask for a slot. `start_sample` is where the first utterance begins."""

    session_id: str
    tenant: str
    epoch: int
    start_sample: int
    options: StreamOptions
    tier: str = ""
    """The policies.plans.Tier of the caller's plan; empty: not known."""
    is_replay: bool = False
    """The session was on another engine before: audio is there that is sent faster than real time."""
    classes: frozenset[CapacityClass] | None = None
    """Machines that the caller's policy set permits in the region that is asked; None: any."""
    grant: bytes = b""
    """A placement grant (policies.residency.grant), which relays and engines check; empty: none was given."""


class Word(msgspec.Struct, frozen=True):
    """One recognised word; `confidence` is the geometric mean of its pieces' probabilities, in [0, 1]."""

    text: str
    start_sample: int
    end_sample: int
    confidence: float


class Granted(msgspec.Struct, frozen=True, tag="granted"):
    """The slot is ours. At most `window_samples` of audio may be sent ahead of `Progress.audio_through_sample`."""

    epoch: int
    model: str
    model_version: str
    window_samples: int


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """`detail`: what was expected, a sentence for the client's eyes, at most `MAX_DETAIL_CHARS`; empty says nothing."""

    epoch: int
    reason: RefusalReason
    retry_after_ms: int | None = None
    detail: str = ""


class Progress(msgspec.Struct, frozen=True, tag="progress"):
    """The engine is alive and has consumed all audio before `audio_through_sample`; sent after each step.

    `compute_us`: compute spent on this stream since the last `Progress` (micro-compute-seconds).
    """

    epoch: int
    audio_through_sample: int
    compute_us: int


class SpeechStarted(msgspec.Struct, frozen=True, tag="speech_started"):
    epoch: int
    at_sample: int


class PartialResult(msgspec.Struct, frozen=True, tag="partial"):
    """The utterance so far. The first `stable_chars` characters of `text` will not change any more."""

    epoch: int
    start_sample: int
    end_sample: int
    text: str
    stable_chars: int


class FinalResult(msgspec.Struct, frozen=True, tag="final"):
    """The utterance [start_sample, end_sample) is done with; `words` is empty when nothing was said."""

    epoch: int
    start_sample: int
    end_sample: int
    text: str
    words: tuple[Word, ...]
    reason: EndReason


class Lost(msgspec.Struct, frozen=True, tag="lost"):
    """The stream gives no more events; a link says this for an engine that cannot."""

    epoch: int
    reason: LossReason


class MoveAway(msgspec.Struct, frozen=True, tag="move_away"):
    """Go on elsewhere, before `within_ms` are over; until then the stream works. Links say this, engines do not."""

    epoch: int
    reason: MoveReason
    within_ms: int


StreamEvent = Granted | Refused | Progress | SpeechStarted | PartialResult | FinalResult | Lost | MoveAway


class ModelLoad(msgspec.Struct, frozen=True, kw_only=True):
    """One loaded version of a model. `slots_total` is what the engine can serve in time now, not what is laid out.

    `is_leaving`: it takes only streams that are pinned to this version.
    """

    name: str
    version: str
    language: str = ""
    slots_total: int
    slots_used: int
    share_permille: int = 1_000
    is_leaving: bool = False


class LoadReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine says of itself, once a second and whenever a slot changes hands."""

    pool: str
    replica: str = ""
    """The gateway's own name for the replica: its place among the configured addresses."""
    models: tuple[ModelLoad, ...]
    slots_total: int
    """Of all models together; a slot of one may cost slots of another."""
    slots_used: int
    queued_audio_ms: int
    """Audio received and not yet recognised, all streams together."""
    step_p50_us: int
    busy_permille: int
    """Share of the last second that the inference thread was computing."""
    is_draining: bool
    leaves_in_ms: int = 0
    """Its machine goes away: streams should be gone by then. 0: nothing is known."""
    is_at_risk: bool = False
    """Its machine may go away soon: what is new should rather go elsewhere."""
    gateways: int = 1
    """How many place streams here, whoever reads this included."""
    capacity: CapacityClass | None = None
    """How its machine is paid for, as it was told; None: it was not."""
