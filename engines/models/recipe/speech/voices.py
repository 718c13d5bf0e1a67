"""Which voices speak, how often, in what manner, and which are never trained on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engines.models.recipe.speech.espeak import EspeakManner
from engines.models.recipe.text.words import listed

if TYPE_CHECKING:
    from random import Random

    from engines.models.recipe.text.sentences import Sentence, SentenceSource

# Shares of the training utterances. "hts" is Festival's; the rest of the names but espeak are flite's.
SYNTHESISER_SHARES = {"espeak": 0.36, "slt": 0.19, "awb": 0.17, "kal16": 0.12, "hts": 0.12, "kal": 0.04}
NATURAL_AND_EASY = ("slt", "awb", "hts", "kal16")  # training begins with these

# Kept out of training to measure what the model does with a new voice; beside these, flite rms and festival ked.
HELD_OUT_VARIANTS = ("Mike", "linda", "f5", "m7", "pablo", "shelby")
HELD_OUT_VOICES = ("rms", "ked")

ACCENTS = (
    *["en-us"] * 5,
    *["en"] * 2,
    "en-gb-scotland",
    "en-gb-x-rp",
    "en-gb-x-gbclan",
    "en-gb-x-gbcwmd",
    "en-029",
    "en-us-nyc",
)
TRAINED_VARIANTS = listed(
    "adam Alex Alicia Andrea Andy Annie antonio aunty belinda benjamin boris caleb david Denis Diogo ed edward"
    " edward2 Gene Gene2 gustave Henrique Hugo iven iven2 iven3 iven4 Jacky john kaukovalta Lee marcelo Marco Mario"
    " Max Michael michel miguel Mr Nguyen paul pedro quincy rob robert steph steph2 steph3 Storm Tweaky zac anika"
    " f2 f3 f4 klatt klatt2 klatt3 klatt4 m2 m3 m4 m5 m6 norbert sandro travis victor m8 f1 m1 grandma grandpa"
    " klatt5 klatt6 AnxiousAndy croak whisper whisperf"
)

_PITCH_RANGES_HZ = {"slt": (135, 240), "awb": (85, 170), "kal16": (75, 150), "kal": (75, 150), "rms": (75, 130)}
DEFAULT_PITCH_HZ = {"slt": 175, "awb": 125, "rms": 95, "kal16": 105, "kal": 105}

_TWO_SENTENCES_SHARE = 0.08
_VARIANT_SHARE = 0.85


@dataclass(frozen=True, slots=True)
class UtteranceSpec:
    """Everything that decides one utterance before noise.

    Attributes:
        synthesiser: "espeak", a flite voice, or a Festival voice.
        voice: the full name: an espeak accent with variant, else the synthesiser's name.
        sentences: what is said, with a pause between two.
        resampling_ratio: above 1 raises pitch and formants and shortens (tape speed).
        duration_stretch: flite's and Festival's tempo, above 1 is slower.
        mean_pitch_hz: flite's; None for the others.
        manner: espeak's.
    """

    synthesiser: str
    voice: str
    sentences: tuple[Sentence, ...]
    resampling_ratio: float = 1.0
    duration_stretch: float = 1.0
    mean_pitch_hz: float | None = None
    manner: EspeakManner = field(default_factory=EspeakManner)

    @property
    def text(self) -> str:
        """The label of the whole utterance."""
        return " ".join(sentence.text for sentence in self.sentences)


def draw_utterance(
    rng: Random, sentences: SentenceSource, *, synthesiser: str | None = None, sentence: Sentence | None = None
) -> UtteranceSpec:
    """Draw a training utterance; a given sentence is said alone, else one in twelve utterances holds two sentences."""
    if synthesiser is None:
        (synthesiser,) = rng.choices(tuple(SYNTHESISER_SHARES), tuple(SYNTHESISER_SHARES.values()))
    said = [sentence or sentences.next()]
    if sentence is None and rng.random() < _TWO_SENTENCES_SHARE:
        said.append(sentences.next())
    ratio = _draw_resampling_ratio(rng, synthesiser)
    stretch = rng.uniform(0.8, 1.3) * ratio**0.5
    if synthesiser != "espeak":
        pitch_range = _PITCH_RANGES_HZ.get(synthesiser)
        return UtteranceSpec(
            synthesiser=synthesiser,
            voice=synthesiser,
            sentences=tuple(said),
            resampling_ratio=ratio,
            duration_stretch=stretch,
            mean_pitch_hz=rng.uniform(*pitch_range) if pitch_range else None,
        )
    return UtteranceSpec(
        synthesiser="espeak",
        voice=draw_espeak_voice(rng),
        sentences=tuple(said),
        resampling_ratio=ratio,
        duration_stretch=stretch,
        manner=draw_espeak_manner(rng),
    )


def draw_espeak_voice(rng: Random) -> str:
    """Draw an accent, mostly with one of the variants that training uses."""
    accent = rng.choice(ACCENTS)
    return f"{accent}+{rng.choice(TRAINED_VARIANTS)}" if rng.random() < _VARIANT_SHARE else accent


def draw_espeak_manner(rng: Random) -> EspeakManner:
    """Draw tempo, pitch, pitch range and word gap over the whole intelligible range."""
    return EspeakManner(
        words_per_minute=rng.randint(115, 225),
        pitch=rng.randint(15, 85),
        pitch_range=rng.randint(25, 75),
        word_gap=rng.choice((0, 0, 0, 0, 1, 2, 4, 8)),
    )


def plain_utterance(synthesiser: str, voice: str, sentence: Sentence) -> UtteranceSpec:
    """One sentence in the voice's own manner: the standard of the test sets."""
    return UtteranceSpec(
        synthesiser=synthesiser,
        voice=voice,
        sentences=(sentence,),
        mean_pitch_hz=DEFAULT_PITCH_HZ.get(synthesiser),
    )


def _draw_resampling_ratio(rng: Random, synthesiser: str) -> float:
    if synthesiser == "hts":
        return rng.uniform(0.85, 1.2)
    share = 0.3 if synthesiser == "espeak" else 0.7
    return rng.uniform(0.83, 1.2) if rng.random() < share else 1.0
