"""The native protocol's protobuf: the messages of speech.proto to those of messages.py and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.errors import ClientFault, Reason
from gateway.wire.codec import MAX_JSON_BYTES
from gateway.wire.messages import (
    Ack,
    Audio,
    AudioLost,
    AudioSpec,
    ClientMessage,
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
    ResidencySpec,
    Resume,
    SpeechStartedMessage,
    Start,
    Started,
    TextSpec,
    Usage,
    UtteranceEnd,
    WordMessage,
)
from gateway.wire.proto import speech_pb2 as pb

if TYPE_CHECKING:
    from gateway.wire.messages import ServerMessage


def decode_client(message: pb.ClientMessage) -> ClientMessage:
    """Raises ClientFault: malformed_message for a message with nothing in it, message_too_large."""
    kind = message.WhichOneof("message")
    if kind != "audio" and message.ByteSize() > MAX_JSON_BYTES:
        raise ClientFault(Reason.message_too_large, f"a message without audio may have {MAX_JSON_BYTES} bytes")
    match kind:
        case "audio":
            return Audio(message.audio)
        case "start":
            return _decode_start(message.start)
        case "gap":
            return Gap(message.gap.samples)
        case "finalize":
            return Finalize(message.finalize.id)
        case "finish":
            return Finish()
        case "keepalive":
            return KeepAlive()
        case _:
            raise ClientFault(
                Reason.malformed_message, "a message must hold start, audio, gap, finalize, finish or keepalive"
            )


def _decode_start(start: pb.Start) -> Start:
    audio, standard = start.audio, AudioSpec()
    endpointing, text = start.endpointing, start.text
    return Start(
        token=start.token if start.HasField("token") else None,
        audio=AudioSpec(
            encoding=audio.encoding or standard.encoding,
            sample_rate_hz=audio.sample_rate_hz or standard.sample_rate_hz,
            channels=audio.channels or standard.channels,
            channel=audio.channel,
        ),
        language=start.language,
        model=start.model,
        partials=start.partials if start.HasField("partials") else True,
        endpointing=Endpointing(
            silence_ms=endpointing.silence_ms if endpointing.HasField("silence_ms") else None,
            no_speech_ms=endpointing.no_speech_ms if endpointing.HasField("no_speech_ms") else None,
        ),
        max_utterance_ms=start.max_utterance_ms if start.HasField("max_utterance_ms") else None,
        model_version=start.model_version,
        decoding=start.decoding or _STANDARD_START.decoding,
        keywords=tuple(map(_decode_keyword, start.keywords)),
        text=TextSpec(
            numerals=text.numerals,
            punctuation=text.punctuation,
            profanity=text.profanity or _STANDARD_START.text.profanity,
            redact=tuple(text.redact),
        ),
        resume=_decode_resume(start.resume) if start.HasField("resume") else None,
        residency=_decode_residency(start.residency) if start.HasField("residency") else _STANDARD_START.residency,
    )


def _decode_residency(residency: pb.Residency) -> ResidencySpec:
    return ResidencySpec(
        data_class=residency.data_class,
        subject_country=residency.subject_country,
        consent=residency.consent if residency.HasField("consent") else None,
        legal_basis=residency.legal_basis,
        subject_id=residency.subject_id,
    )


def _decode_resume(resume: pb.Resume) -> Resume:
    return Resume(
        token=resume.token,
        from_sample=resume.from_sample,
        audio_from_ms=resume.audio_from_ms if resume.HasField("audio_from_ms") else None,
    )


_STANDARD_START = Start()


def _decode_keyword(keyword: pb.Keyword) -> KeywordSpec:
    if keyword.HasField("boost_permille"):
        return KeywordSpec(keyword.phrase, keyword.boost_permille)
    return KeywordSpec(keyword.phrase)


def encode_client(message: ClientMessage) -> pb.ClientMessage:
    match message:
        case Audio(data):
            return pb.ClientMessage(audio=data)
        case Start():
            return pb.ClientMessage(
                start=pb.Start(
                    token=message.token,
                    audio=pb.AudioSpec(
                        encoding=message.audio.encoding,
                        sample_rate_hz=message.audio.sample_rate_hz,
                        channels=message.audio.channels,
                        channel=message.audio.channel,
                    ),
                    language=message.language,
                    model=message.model,
                    partials=message.partials,
                    endpointing=pb.Endpointing(
                        silence_ms=message.endpointing.silence_ms, no_speech_ms=message.endpointing.no_speech_ms
                    ),
                    max_utterance_ms=message.max_utterance_ms,
                    model_version=message.model_version,
                    decoding=message.decoding,
                    keywords=[pb.Keyword(phrase=k.phrase, boost_permille=k.boost_permille) for k in message.keywords],
                    text=pb.Text(
                        numerals=message.text.numerals,
                        punctuation=message.text.punctuation,
                        profanity=message.text.profanity,
                        redact=message.text.redact,
                    ),
                    resume=None if message.resume is None else _encode_resume(message.resume),
                    residency=None
                    if message.residency == _STANDARD_START.residency
                    else _encode_residency(message.residency),
                )
            )
        case Gap(samples):
            return pb.ClientMessage(gap=pb.Gap(samples=samples))
        case Finalize(request_id):
            return pb.ClientMessage(finalize=pb.Finalize(id=request_id))
        case Finish():
            return pb.ClientMessage(finish=pb.Finish())
        case KeepAlive():
            return pb.ClientMessage(keepalive=pb.KeepAlive())


def _encode_resume(resume: Resume) -> pb.Resume:
    return pb.Resume(token=resume.token, from_sample=resume.from_sample, audio_from_ms=resume.audio_from_ms)


def _encode_residency(residency: ResidencySpec) -> pb.Residency:
    return pb.Residency(
        data_class=residency.data_class,
        subject_country=residency.subject_country,
        consent=residency.consent,
        legal_basis=residency.legal_basis,
        subject_id=residency.subject_id,
    )


def encode_server(message: ServerMessage) -> pb.ServerMessage:
    match message:
        case PartialMessage():
            return pb.ServerMessage(
                partial=pb.Partial(
                    text=message.text,
                    start_ms=message.start_ms,
                    end_ms=message.end_ms,
                    stable_chars=message.stable_chars,
                )
            )
        case FinalMessage():
            words = [
                pb.Word(text=w.text, start_ms=w.start_ms, end_ms=w.end_ms, confidence=w.confidence)
                for w in message.words
            ]
            return pb.ServerMessage(
                final=pb.Final(text=message.text, start_ms=message.start_ms, end_ms=message.end_ms, words=words)
            )
        case Ack():
            return pb.ServerMessage(
                ack=pb.Ack(audio_ms=message.audio_ms, finalized=message.finalized, sample=message.sample)
            )
        case SpeechStartedMessage():
            return pb.ServerMessage(speech_started=pb.SpeechStarted(at_ms=message.at_ms))
        case UtteranceEnd():
            return pb.ServerMessage(utterance_end=pb.UtteranceEnd(at_ms=message.at_ms, reason=message.reason))
        case Started():
            return pb.ServerMessage(
                started=pb.Started(
                    session_id=message.session_id,
                    model=message.model,
                    model_version=message.model_version,
                    region=message.region,
                    protocol_version=message.protocol_version,
                    resume_token=message.resume_token,
                    resume_at=message.resume_at,
                    resumed_from_sample=message.resumed_from_sample,
                    engine_region=message.engine_region,
                )
            )
        case AudioLost():
            return pb.ServerMessage(audio_lost=pb.AudioLost(start_ms=message.start_ms, end_ms=message.end_ms))
        case Migrated():
            return pb.ServerMessage(
                migrated=pb.Migrated(
                    reason=message.reason,
                    replayed_ms=message.replayed_ms,
                    pause_elapsed_ms=message.pause_elapsed_ms,
                    model_version=message.model_version,
                    engine_region=message.engine_region,
                )
            )
        case Usage():
            return pb.ServerMessage(
                usage=pb.Usage(
                    audio_ms=message.audio_ms,
                    compute_us=message.compute_us,
                    remaining_us=message.remaining_us,
                    level=message.level,
                    is_throttled=message.is_throttled,
                    retry_after_ms=message.retry_after_ms,
                )
            )
        case ErrorMessage():
            return pb.ServerMessage(
                error=pb.Error(
                    reason=message.reason,
                    message=message.message,
                    retryable=message.retryable,
                    retry_after_ms=message.retry_after_ms,
                    level=message.level,
                    gateways=message.gateways,
                )
            )
        case Finished():
            return pb.ServerMessage(finished=pb.Finished(audio_ms=message.audio_ms))


def decode_server(message: pb.ServerMessage) -> ServerMessage:
    """For clients. Raises ValueError for a message with nothing in it."""
    match message.WhichOneof("message"):
        case "partial":
            partial = message.partial
            return PartialMessage(partial.text, partial.start_ms, partial.end_ms, partial.stable_chars)
        case "final":
            final = message.final
            words = tuple(WordMessage(w.text, w.start_ms, w.end_ms, w.confidence) for w in final.words)
            return FinalMessage(final.text, final.start_ms, final.end_ms, words)
        case "ack":
            return Ack(message.ack.audio_ms, tuple(message.ack.finalized), message.ack.sample)
        case "speech_started":
            return SpeechStartedMessage(message.speech_started.at_ms)
        case "utterance_end":
            return UtteranceEnd(message.utterance_end.at_ms, message.utterance_end.reason)
        case "started":
            started = message.started
            return Started(
                session_id=started.session_id,
                model=started.model,
                model_version=started.model_version,
                region=started.region,
                protocol_version=started.protocol_version,
                resume_token=started.resume_token,
                resume_at=tuple(started.resume_at),
                resumed_from_sample=(started.resumed_from_sample if started.HasField("resumed_from_sample") else None),
                engine_region=started.engine_region,
            )
        case "audio_lost":
            return AudioLost(message.audio_lost.start_ms, message.audio_lost.end_ms)
        case "migrated":
            migrated = message.migrated
            return Migrated(
                migrated.reason,
                migrated.replayed_ms,
                migrated.pause_elapsed_ms,
                migrated.model_version,
                migrated.engine_region,
            )
        case "usage":
            usage = message.usage
            return Usage(
                usage.audio_ms,
                usage.compute_us,
                remaining_us=usage.remaining_us if usage.HasField("remaining_us") else None,
                level=usage.level if usage.HasField("level") else None,
                is_throttled=usage.is_throttled,
                retry_after_ms=usage.retry_after_ms if usage.HasField("retry_after_ms") else None,
            )
        case "error":
            error = message.error
            return ErrorMessage(
                reason=error.reason,
                message=error.message,
                retryable=error.retryable,
                retry_after_ms=error.retry_after_ms if error.HasField("retry_after_ms") else None,
                level=error.level if error.HasField("level") else None,
                gateways=tuple(error.gateways),
            )
        case "finished":
            return Finished(message.finished.audio_ms)
        case _:
            raise ValueError("the server sent a message with nothing in it")


def read_server(message: pb.ServerMessage) -> ServerMessage | None:
    """As `decode_server`; None: nothing in it that this version knows, which clients pass over."""
    return None if message.WhichOneof("message") is None else decode_server(message)
