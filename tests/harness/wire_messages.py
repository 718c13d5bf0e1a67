"""Any message of the native protocol, for properties: what JSON and protobuf can both carry."""

from __future__ import annotations

from hypothesis import strategies as st

from gateway.wire.messages import (
    Ack,
    Audio,
    AudioLost,
    AudioSpec,
    Endpointing,
    ErrorMessage,
    Finalize,
    FinalMessage,
    Finish,
    Finished,
    Gap,
    KeepAlive,
    KeywordSpec,
    Migrated,
    PartialMessage,
    Resume,
    SpeechStartedMessage,
    Start,
    Started,
    TextSpec,
    Usage,
    UtteranceEnd,
    WordMessage,
)

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=24)
INT32 = st.integers(-(2**31), 2**31 - 1)
INT64 = st.integers(-(2**63), 2**63 - 1)
POSITIVE = st.integers(1, 2**31 - 1)
"""In speech.proto a zero rate or channel count stands for the default."""

WORDS = st.builds(WordMessage, TEXTS, INT64, INT64, st.floats(allow_nan=False, allow_infinity=False))

KEYWORDS = st.builds(KeywordSpec, TEXTS, INT32)
TEXT_SPECS = st.builds(
    TextSpec,
    numerals=st.booleans(),
    punctuation=st.booleans(),
    profanity=st.sampled_from(["keep", "mask", "remove"]) | TEXTS.filter(bool),
    redact=st.lists(st.sampled_from(["card_number", "email"]) | TEXTS, max_size=3).map(tuple),
)
STARTS = st.builds(
    Start,
    token=st.none() | TEXTS,
    audio=st.builds(AudioSpec, TEXTS.filter(bool), POSITIVE, POSITIVE, INT32),
    language=TEXTS,
    model=TEXTS,
    partials=st.booleans(),
    endpointing=st.builds(Endpointing, st.none() | INT32, st.none() | INT32),
    max_utterance_ms=st.none() | INT32,
    model_version=TEXTS,
    decoding=st.sampled_from(["greedy", "beam"]) | TEXTS.filter(bool),
    keywords=st.lists(KEYWORDS, max_size=3).map(tuple),
    text=TEXT_SPECS,
    resume=st.none() | st.builds(Resume, token=TEXTS, from_sample=INT64, audio_from_ms=st.none() | INT64),
)

TEXT_MESSAGES = st.one_of(
    STARTS, st.builds(Gap, INT64), st.builds(Finalize, TEXTS), st.builds(Finish), st.builds(KeepAlive)
)
CLIENT_MESSAGES = TEXT_MESSAGES | st.builds(Audio, st.binary(max_size=64))

SERVER_MESSAGES = st.one_of(
    st.builds(
        Started,
        session_id=TEXTS,
        model=TEXTS,
        model_version=TEXTS,
        region=TEXTS,
        protocol_version=st.just(1) | INT32,
        resume_token=TEXTS,
        resume_at=st.lists(TEXTS, max_size=3).map(tuple),
        resumed_from_sample=st.none() | INT64,
        engine_region=TEXTS,
    ),
    st.builds(SpeechStartedMessage, INT64),
    st.builds(PartialMessage, TEXTS, INT64, INT64, INT32),
    st.builds(FinalMessage, TEXTS, INT64, INT64, st.lists(WORDS, max_size=3).map(tuple)),
    st.builds(UtteranceEnd, INT64, TEXTS),
    st.builds(Ack, INT64, st.lists(TEXTS, max_size=3).map(tuple), INT64),
    st.builds(AudioLost, INT64, INT64),
    st.builds(Migrated, TEXTS, INT64, INT64, TEXTS, TEXTS),
    st.builds(
        Usage,
        INT64,
        INT64,
        remaining_us=st.none() | INT64,
        level=st.none() | TEXTS,
        is_throttled=st.booleans(),
        retry_after_ms=st.none() | INT64,
    ),
    st.builds(
        ErrorMessage,
        reason=TEXTS,
        message=TEXTS,
        retryable=st.booleans(),
        retry_after_ms=st.none() | INT64,
        level=st.none() | TEXTS,
    ),
    st.builds(Finished, INT64),
)
