"""The console's pure modules, in the browser that runs them; those with a twin in Python give what the twin gives."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from gateway.wire.codec import decode_server, encode_server
from gateway.wire.heard_once import HeardOnce
from gateway.wire.messages import FinalMessage, PartialMessage, SpeechStartedMessage, UtteranceEnd, WordMessage
from gateway.wire.stream_messages import AUDIO, TEXT, encode

if TYPE_CHECKING:
    from gateway.wire.messages import ServerMessage
    from tests.harness.browser import Browser

pytestmark = pytest.mark.integration

NUM_DRAWN = 200


@pytest.fixture(scope="module")
def page(browser: Browser, static_console: str) -> Browser:
    browser.open(static_console)
    return browser


def in_module(page: Browser, module: str, body: str, *arguments: Any) -> Any:
    """What the body returns; `module` names all that it exports."""
    answer = page.run_module(f"const m = await import('/console/{module}'); {body}", *arguments)
    assert "error" not in answer, answer["error"]
    return answer.get("value")


# --- messages on a stream ---------------------------------------------------------------------------------------


def drawn_cuts(dice: random.Random, data: bytes) -> list[list[int]]:
    places = sorted(dice.choices(range(len(data) + 1), k=dice.randrange(6)))
    return [list(data[begin:end]) for begin, end in zip([0, *places], [*places, len(data)], strict=True)]


def test_messages_come_whole_however_the_stream_is_cut(page: Browser) -> None:
    dice = random.Random(8)
    drawn = []
    for _ in range(NUM_DRAWN):
        messages = [
            (dice.choice([TEXT, AUDIO, 9]), dice.randbytes(dice.randrange(40))) for _ in range(dice.randrange(5))
        ]
        stream = b"".join(encode(kind, payload) for kind, payload in messages)
        drawn.append(([[kind, list(payload)] for kind, payload in messages], drawn_cuts(dice, stream)))
    read = in_module(
        page,
        "connection/frames.js",
        """return given[0].map((pieces) => {
             const reader = new m.FrameReader(1_000);
             const found = pieces.flatMap((piece) => reader.take(Uint8Array.from(piece)));
             return [found.map(({ kind, payload }) => [kind, [...payload]]), reader.isBetweenMessages];
           });""",
        [pieces for _, pieces in drawn],
    )
    assert read == [[messages, True] for messages, _ in drawn]


def test_a_message_is_written_as_the_gateway_reads_it(page: Browser) -> None:
    payload = bytes(range(256)) * 300
    written = in_module(
        page, "connection/frames.js", "return [...m.encodeFrame(m.AUDIO, Uint8Array.from(given[0]))]", list(payload)
    )
    assert bytes(written) == encode(AUDIO, payload)


def test_a_message_longer_than_is_allowed_is_refused_before_it_is_kept(page: Browser) -> None:
    fault = in_module(
        page,
        "connection/frames.js",
        """try { new m.FrameReader(10).take(Uint8Array.from(given[0])); }
           catch (error) { return error.constructor.name; }""",
        list(encode(TEXT, bytes(11))[:4]),
    )
    assert fault == "FrameFault"


# --- what was heard before --------------------------------------------------------------------------------------


def drawn_message(dice: random.Random) -> ServerMessage:
    at_ms = dice.randrange(0, 40) * 50
    match dice.randrange(4):
        case 0:
            return SpeechStartedMessage(at_ms=at_ms)
        case 1:
            return PartialMessage(text="a b", start_ms=at_ms, end_ms=at_ms + dice.randrange(200), stable_chars=1)
        case 2:
            return UtteranceEnd(at_ms=at_ms, reason="pause_after_speech")
        case _:
            starts = [at_ms + 100 * number for number in range(dice.randrange(1, 4))]
            words = tuple(
                WordMessage(text=f"w{start}", start_ms=start, end_ms=start + 80, confidence=0.5) for start in starts
            )
            text = " ".join(word.text for word in words)
            return FinalMessage(text=text, start_ms=starts[0], end_ms=starts[-1] + 80, words=words)


def test_what_is_new_in_a_message_is_what_our_own_client_finds_new(page: Browser) -> None:
    dice = random.Random(80)
    drawn = [[drawn_message(dice) for _ in range(dice.randrange(1, 12))] for _ in range(NUM_DRAWN)]
    expected: list[list[ServerMessage | None]] = []
    for conversation in drawn:
        twin = HeardOnce()
        expected.append([twin.take(message) for message in conversation])
    found = in_module(
        page,
        "connection/heard_once.js",
        """return given[0].map((conversation) => {
             const heard = new m.HeardOnce();
             return conversation.map((message) => JSON.stringify(heard.take(JSON.parse(message))));
           });""",
        [[encode_server(message) for message in conversation] for conversation in drawn],
    )
    assert [
        [None if text == "null" else decode_server(text) for text in conversation] for conversation in found
    ] == expected


# --- audio that is kept ------------------------------------------------------------------------------------------


def test_audio_is_kept_from_the_last_ack_on_and_bounded(page: Browser) -> None:
    told = in_module(
        page,
        "connection/kept_audio.js",
        """const audio = new m.KeptAudio(1); // 16 samples
           const piece = (first, count) => Int16Array.from({ length: count }, (_, at) => first + at);
           const told = [audio.push(piece(0, 6)), audio.push(piece(6, 6)), audio.push(piece(12, 6))];
           audio.release(8);
           told.push(audio.push(piece(12, 6)), audio.first, audio.end);
           told.push([...audio.from(8, 100)], [...audio.from(12, 2)], [...audio.from(18, 5)]);
           try { audio.from(7, 1); } catch (error) { told.push(error.constructor.name); }
           audio.release(99);
           return [...told, audio.first, audio.end];""",
    )
    assert told == [True, True, False, True, 8, 18, [8, 9, 10, 11], [12, 13], [], "RangeError", 18, 18]


# --- when and where to try again ---------------------------------------------------------------------------------


def delay(page: Browser, **facts: Any) -> Any:
    return in_module(
        page,
        "connection/resume_pace.js",
        "return m.delayBeforeMs({ dice: () => 1, ...given[0] })",
        {"numWays": 2, **facts},
    )


def test_pauses_grow_from_round_to_round_and_heed_advice(page: Browser) -> None:
    assert [delay(page, attempt=attempt, lostForMs=0) for attempt in range(6)] == [250, 0, 500, 0, 1_000, 0]
    assert delay(page, attempt=40, lostForMs=0) == 5_000
    assert delay(page, attempt=0, lostForMs=0, advisedMs=2_000) == 2_000
    assert delay(page, attempt=3, lostForMs=60_000) is None


SETTINGS = {
    "websocket": {"path": "/v1/stream"},
    "webtransport": {"url": "https://eu.example:4433/v1/stream", "certificate_sha256": ["ab"]},
}


def transports(page: Browser, **how: Any) -> Any:
    return in_module(
        page,
        "connection/ways.js",
        "return m.waysHere(given[0], given[1]).map(({ transport, url }) => [transport, url])",
        SETTINGS,
        {"pageUrl": "https://eu.example/console", "canWebTransport": True} | how,
    )


def test_webtransport_is_tried_first_where_there_is_any_and_websocket_after_it(page: Browser) -> None:
    webtransport = ["webtransport", "https://eu.example:4433/v1/stream"]
    websocket = ["websocket", "wss://eu.example/v1/stream"]
    assert transports(page) == [webtransport, websocket]
    assert transports(page, canWebTransport=False) == [websocket]
    assert transports(page, wish="webtransport") == [webtransport]
    assert transports(page, wish="websocket") == [websocket]


def test_a_page_that_came_over_tls_goes_on_nowhere_without(page: Browser) -> None:
    addresses = ["ws://a.example/v1/stream", "wss://b.example/v1/stream", "grpcs://c.example", "no address"]
    body = "return m.waysTo(given[0], { pageUrl: given[1] }).map(({ url }) => url)"
    assert in_module(page, "connection/ways.js", body, addresses, "https://eu.example/console") == [addresses[1]]
    assert in_module(page, "connection/ways.js", body, addresses, "http://127.0.0.1/console") == addresses[:2]


def test_gateways_that_were_named_are_tried_over_webtransport_and_one_wait_later_over_websocket(page: Browser) -> None:
    addresses = [f"{scheme}://{name}.example/v1/stream" for name in "ab" for scheme in ("wss", "grpcs", "https")]
    trusted = {
        "websocket": {"path": "/v1/stream"},
        "webtransport": SETTINGS["webtransport"] | {"certificate_sha256": []},
    }
    over_websocket = [addresses[0], addresses[3]]

    def named(settings: dict[str, Any], **how: Any) -> Any:
        body = "return m.waysTo(given[0], given[1]).map(({ url }) => url)"
        how = {"pageUrl": "https://eu.example/console", "canWebTransport": True, "settings": settings} | how
        return in_module(page, "connection/ways.js", body, addresses, how)

    assert named(trusted) == [addresses[2], addresses[0], addresses[5], addresses[3]]
    assert named(SETTINGS) == over_websocket, "the hash of a certificate is of this page's gateway alone"
    assert named(trusted | {"webtransport": None}) == over_websocket
    assert named(trusted, canWebTransport=False) == over_websocket
    assert named(trusted, wish="websocket") == over_websocket


# --- samples and times --------------------------------------------------------------------------------------------


def test_float_samples_become_the_pcm_they_came_from(page: Browser) -> None:
    pcm = [-32_768, -1, 0, 1, 12_345, 32_767]
    body = "return [...m.toPcm16(Float32Array.from(given[0], (value) => value / 32_768))]"
    assert in_module(page, "audio/pcm.js", body, pcm) == pcm
    assert in_module(page, "audio/pcm.js", "return [...m.toPcm16(Float32Array.from([2, -2]))]") == [32_767, -32_768]


def test_words_are_timed_from_when_they_were_spoken(page: Browser) -> None:
    """Pieces of 100 ms are handed over when they were spoken, from 1,000 ms on the wall on."""
    told = in_module(
        page,
        "live/timing.js",
        """const timing = new m.Timing();
           for (let end = 100; end <= 3_000; end += 100) timing.audioSpoken(end, 1_000 + end);
           timing.hear({ type: "speech_started", at_ms: 450 }, 1_600);
           timing.hear({ type: "partial", text: "" }, 1_700);
           timing.hear({ type: "partial", text: "nine" }, 1_850);
           timing.hear({ type: "partial", text: "nine eight" }, 1_950);
           timing.hear({ type: "final", text: "nine eight", end_ms: 1_250 }, 3_300);
           timing.hear({ type: "utterance_end", reason: "pause_after_speech" }, 3_301);
           timing.finalAsked(3_500);
           timing.hear({ type: "final", text: "seven", end_ms: 2_000 }, 3_620);
           timing.hear({ type: "utterance_end", reason: "finish" }, 3_621);
           return [timing.firstPartialMs, timing.finals.map(({ ms, after }) => [ms, after])];""",
    )
    assert told == [[400], [[1_050, "speech"], [120, "asked"]]]


def test_the_middle_of_numbers_is_their_median(page: Browser) -> None:
    body = "return given[0].map(m.median)"
    assert in_module(page, "live/timing.js", body, [[], [3], [9, 1, 5], [4, 1, 2, 3]]) == [None, 3, 5, 2.5]


def test_a_reason_that_is_not_known_yet_is_told_in_the_gateways_words(page: Browser) -> None:
    error = {"reason": "moon_in_the_way", "message": "the moon is in the way", "retry_after_ms": 2_000}
    told = in_module(page, "connection/reasons.js", "return m.inPlainWords(given[0])", error)
    assert (told["title"], told["reason"]) == ("The moon is in the way.", "moon_in_the_way")
    assert "in 2 s" in told["text"]


def test_decoding_a_message_here_is_the_codecs_own() -> None:
    """Guards this file: the texts that twins are compared by go through the codec and back."""
    message = UtteranceEnd(at_ms=3, reason="finish")
    assert msgspec.to_builtins(decode_server(encode_server(message))) == msgspec.to_builtins(message)


# --- the file that is played ------------------------------------------------------------------------------------


def test_a_file_keeps_its_speed_where_every_pause_takes_a_second(page: Browser) -> None:
    """As in a tab behind others, where timers are woken once a second."""
    played = in_module(
        page,
        "audio/recording.js",
        """const set = window.setTimeout;
           let pauses = 0;
           window.setTimeout = (what, ms) => { pauses += 1; return set(what, Math.max(ms, 1_000)); };
           let heard = 0;
           const hear = (piece) => { heard += piece.length; };
           const { signal } = new AbortController();
           const rules = { isPaced: true, pieceMs: 100, hasRoomFor: () => true, hear, signal };
           try { await m.play(new Int16Array(32_000), rules); } finally { window.setTimeout = set; }
           return [heard, pauses];""",
    )
    assert played[0] == 32_000
    assert played[1] <= 4  # of twenty pieces


# --- figures ----------------------------------------------------------------------------------------------------


def test_words_are_counted_for_each_session(page: Browser) -> None:
    shown = in_module(
        page,
        "live/figures.js",
        """const figures = new m.Figures(document.getElementById("live"));
           const words = () => document.querySelector('[data-figure="words"]').textContent;
           const final = { type: "final", text: "nine  eight seven", start_ms: 0, end_ms: 900 };
           figures.hear(final);
           figures.hear(final);
           const first = words();
           figures.begin();
           figures.hear(final);
           return [first, words()];""",
    )
    assert shown == ["6", "3"]
