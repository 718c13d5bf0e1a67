"""The console's session before gateways on a bad day: each connection is played by a script."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import WSMsgType, web
from selenium.webdriver.common.action_chains import ActionChains

from tests.browser.console_server import console_served
from tests.harness.recordings import path_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from tests.harness.browser import Browser

pytestmark = pytest.mark.integration

NUM_SAMPLES = 20_000
AUDIO = b"".join(number.to_bytes(2, "little") for number in range(NUM_SAMPLES))
RECEIVE_S = 10.0

SPEAK = """
const { Session } = await import("/console/connection/session.js");
const { KeptAudio } = await import("/console/connection/kept_audio.js");
const { open } = await import("/console/connection/opening.js");
const { waysHere, waysTo } = await import("/console/connection/ways.js");
const [numSamples, rules, finalizeAt, isLeft] = given;
const audio = new KeptAudio(60_000);
const pageUrl = location.href;
const settings = { websocket: { path: "/v1/stream" }, webtransport: null };
const trusted = { webtransport: { certificate_sha256: [] } };
const told = [];
const tried = [];
const session = new Session({
  token: "a.b.c", audio, open, rules,
  waysHere: async () => waysHere(settings, { pageUrl, canWebTransport: false }),
  waysTo: (addresses) => waysTo(addresses, { pageUrl, settings: trusted, canWebTransport: true }),
  tell: (event) => {
    if (event.type === "connecting") tried.push(event.transport);
    told.push(event.type === "message" ? event.message.type : event.type);
  },
});
const samples = Int16Array.from({ length: numSamples }, (_, at) => at);
audio.push(samples.subarray(0, finalizeAt));
if (finalizeAt) session.finalize();
audio.push(samples.subarray(finalizeAt));
session.finish();
if (isLeft) setTimeout(() => session.leave(), 300);
const end = await session.run();
return { end, told, tried, kept: [audio.first, audio.end] };
"""


class Connection:
    """One connection of the page, as a script sees it."""

    def __init__(self, socket: web.WebSocketResponse, start: dict[str, Any], address: str) -> None:
        self.start = start
        self.address = address
        self.audio = bytearray()
        self.asked: list[tuple[str, int]] = []
        self._socket = socket

    async def say(self, type_: str, **fields: Any) -> None:
        await self._socket.send_json({"type": type_, **fields})

    async def write(self, text: str) -> None:
        await self._socket.send_str(text)

    async def started(self, **fields: Any) -> None:
        known = {"session_id": "s", "model": "m", "model_version": "v", "region": "local", "resume_token": "r"}
        await self.say("started", **(known | fields))

    async def listen(self, until: Callable[[], bool]) -> None:
        """Take what the page sends until the condition holds. `asked`: each text, and after how many samples."""
        async with asyncio.timeout(RECEIVE_S):
            while not until():
                message = await self._socket.receive()
                if message.type is WSMsgType.BINARY:
                    self.audio += message.data
                elif message.type is WSMsgType.TEXT:
                    self.asked.append((json.loads(message.data)["type"], len(self.audio) // 2))
                else:
                    return

    async def listen_to_the_end(self) -> None:
        await self.listen(lambda: any(type_ == "finish" for type_, _ in self.asked))

    async def break_off(self) -> None:
        """As a gateway that dies: what it said arrives, and no frame says why it is the last."""
        transport = self._socket._req.transport if self._socket._req is not None else None
        if transport is not None:
            transport.close()

    async def fail(self, reason: str, **fields: Any) -> None:
        known = {"message": "no", "retryable": False, "retry_after_ms": None, "level": None, "gateways": []}
        await self.say("error", reason=reason, **(known | fields))
        await self._socket.close(code=4400, message=reason.encode())


class Stage:
    """Plays one script a connection, in their order."""

    def __init__(self) -> None:
        self.scripts: list[Callable[[Connection], Awaitable[None]]] = []
        self.connections: list[Connection] = []
        self.address = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        number = len(self.connections)
        socket = web.WebSocketResponse(protocols=("patchbay.v1",))
        await socket.prepare(request)
        start = await socket.receive_json(timeout=RECEIVE_S)
        connection = Connection(socket, start, request.path)
        self.connections.append(connection)
        await self.scripts[number](connection)
        return socket


@pytest.fixture(scope="module")
def shared_stage(browser: Browser) -> Iterator[Stage]:
    stage = Stage()
    with console_served({"/v1/stream": stage.handle, "/elsewhere": stage.handle}) as address:
        stage.address = address
        browser.open(f"{address}/console")
        yield stage


@pytest.fixture
def stage(shared_stage: Stage) -> Stage:
    shared_stage.scripts, shared_stage.connections = [], []
    return shared_stage


def speak(
    browser: Browser, stage: Stage, *scripts: Any, finalize_at: int = 0, is_left: bool = False, **rules: int
) -> dict[str, Any]:
    """Send AUDIO through gateways that do so. `rules`: as in SESSION_RULES."""
    stage.scripts = list(scripts)
    answer = browser.run_module(SPEAK, NUM_SAMPLES, rules, finalize_at, is_left)
    assert "error" not in answer, answer["error"]
    told: dict[str, Any] = answer["value"]
    return told


async def finishes(connection: Connection) -> None:
    await connection.started()
    await connection.listen_to_the_end()
    await connection.say("finished", audio_ms=1_250)


def breaks(*, acked: int = 0, **fields: Any) -> Any:
    """It takes everything, acknowledges a part, and dies. What lay unread would take its words with it."""

    async def script(connection: Connection) -> None:
        await connection.started(**fields)
        await connection.listen_to_the_end()
        if acked:
            await connection.say("ack", audio_ms=acked // 16, sample=acked)
        await connection.break_off()

    return script


def test_the_audio_is_sent_as_it_is_with_the_token_in_start(browser: Browser, stage: Stage) -> None:
    told = speak(browser, stage, finishes)
    (connection,) = stage.connections
    assert told["end"]["type"] == "finished"
    assert connection.audio == AUDIO
    assert connection.start == {
        "type": "start",
        "token": "a.b.c",
        "audio": {"encoding": "pcm_s16le", "sample_rate_hz": 16_000},
    }


def test_what_no_ack_covers_is_sent_again_from_that_very_sample(browser: Browser, stage: Stage) -> None:
    told = speak(browser, stage, breaks(acked=5_001), finishes)
    _, again = stage.connections
    assert again.start["resume"] == {"token": "r", "from_sample": 5_001}
    assert again.audio == AUDIO[2 * 5_001 :]
    assert told["told"] == [
        "connecting",
        "opened",
        "started",
        "ack",
        "lost",
        "connecting",
        "opened",
        "resumed",
        "started",
        "finished",
    ]


def test_a_finalize_without_its_ack_is_asked_for_again_in_its_place(browser: Browser, stage: Stage) -> None:
    speak(browser, stage, breaks(), finishes, finalize_at=7_001)
    for connection in stage.connections:
        assert ("finalize", 7_001) in connection.asked
    assert stage.connections[1].asked == [("finalize", 7_001), ("finish", NUM_SAMPLES)]


def test_a_finalize_with_its_ack_is_not_asked_for_again(browser: Browser, stage: Stage) -> None:
    async def acknowledges(connection: Connection) -> None:
        await connection.started()
        await connection.listen_to_the_end()
        await connection.say("ack", audio_ms=437, sample=7_001, finalized=["f1"])
        await connection.break_off()

    speak(browser, stage, acknowledges, finishes, finalize_at=7_001)
    assert stage.connections[1].asked == [("finish", NUM_SAMPLES - 7_001)]


def test_acks_of_what_was_never_sent_and_what_is_no_message_lose_no_audio(browser: Browser, stage: Stage) -> None:
    async def says_odd_things(connection: Connection) -> None:
        await connection.started()
        for sample in (10**9, "5001", 1.5, -3, None, [7]):
            await connection.say("ack", audio_ms=0, sample=sample)
        for text in ("null", "7", "no json", "[]", "{}", '{"type": 5}', '{"type": "of_a_later_version"}'):
            await connection.write(text)
        await connection.listen_to_the_end()
        await connection.break_off()

    told = speak(browser, stage, says_odd_things, finishes)
    first, again = stage.connections
    assert told["end"]["type"] == "finished"
    assert first.audio == AUDIO
    assert again.start["resume"]["from_sample"] <= NUM_SAMPLES
    assert again.audio == AUDIO[2 * again.start["resume"]["from_sample"] :]


def test_the_session_goes_on_at_the_gateway_that_was_named(browser: Browser, stage: Stage) -> None:
    elsewhere = stage.address.replace("http", "ws") + "/elsewhere"
    told = speak(browser, stage, breaks(resume_at=[elsewhere, "grpc://127.0.0.1:1"]), finishes)
    assert told["end"]["type"] == "finished"
    assert [connection.address for connection in stage.connections] == ["/v1/stream", "/elsewhere"]


def test_a_session_over_websocket_stays_with_it_where_webtransport_is_named_too(browser: Browser, stage: Stage) -> None:
    elsewhere = stage.address.replace("http", "ws") + "/elsewhere"
    told = speak(browser, stage, breaks(resume_at=["https://127.0.0.1:1/v1/stream", elsewhere]), finishes)
    assert (told["end"]["type"], told["tried"]) == ("finished", ["websocket", "websocket"])
    assert [connection.address for connection in stage.connections] == ["/v1/stream", "/elsewhere"]


def test_a_page_that_is_sent_elsewhere_tries_webtransport_there_and_then_websocket(
    browser: Browser, stage: Stage
) -> None:
    elsewhere = stage.address.replace("http", "ws") + "/elsewhere"

    async def sends_on(connection: Connection) -> None:
        await connection.fail("wrong_region", gateways=[elsewhere, "https://127.0.0.1:1/v1/stream"])

    told = speak(browser, stage, sends_on, finishes)
    assert (told["end"]["type"], told["tried"]) == ("finished", ["websocket", "webtransport", "websocket"])
    assert [connection.address for connection in stage.connections] == ["/v1/stream", "/elsewhere"]


def test_a_gateway_that_takes_audio_and_falls_silent_is_left(browser: Browser, stage: Stage) -> None:
    async def falls_silent(connection: Connection) -> None:
        await connection.started()
        await connection.listen(lambda: False)  # until the page leaves

    told = speak(browser, stage, falls_silent, finishes, silentMs=400)
    assert told["end"]["type"] == "finished"
    assert stage.connections[1].audio == AUDIO


def test_an_attempt_without_an_answer_is_given_up_and_its_late_claim_survived(browser: Browser, stage: Stage) -> None:
    """A slow gateway takes up the attempt that was left, and so takes the session from the one that goes on."""

    async def does_not_answer(connection: Connection) -> None:
        await connection.listen(lambda: False)

    async def is_robbed(connection: Connection) -> None:
        await connection.started()
        await connection.fail("resumed_elsewhere")

    told = speak(browser, stage, breaks(), does_not_answer, is_robbed, finishes, startedAgainMs=400)
    assert told["end"]["type"] == "finished"
    assert len(stage.connections) == 4


def test_a_session_that_another_took_is_not_taken_back(browser: Browser, stage: Stage) -> None:
    async def is_robbed(connection: Connection) -> None:
        await connection.started()
        await connection.fail("resumed_elsewhere")

    told = speak(browser, stage, is_robbed)
    assert (told["end"]["type"], told["end"]["error"]["reason"]) == ("refused", "resumed_elsewhere")


def test_a_refusal_that_waiting_does_not_mend_ends_the_session(browser: Browser, stage: Stage) -> None:
    async def refuses(connection: Connection) -> None:
        await connection.fail("token_expired")

    told = speak(browser, stage, breaks(), refuses)
    assert told["end"]["error"]["reason"] == "token_expired"
    assert len(stage.connections) == 2


def test_a_refusal_of_the_first_attempt_is_told_at_once(browser: Browser, stage: Stage) -> None:
    async def is_full(connection: Connection) -> None:
        await connection.fail("no_capacity", retryable=True, retry_after_ms=2_000)

    told = speak(browser, stage, is_full)
    assert told["end"]["error"]["retry_after_ms"] == 2_000
    assert len(stage.connections) == 1


def test_a_caller_in_the_wrong_region_goes_where_the_gateway_says(browser: Browser, stage: Stage) -> None:
    async def sends_away(connection: Connection) -> None:
        await connection.fail("wrong_region", gateways=[stage.address.replace("http", "ws") + "/elsewhere"])

    told = speak(browser, stage, sends_away, finishes)
    assert told["end"]["type"] == "finished"
    assert stage.connections[1].address == "/elsewhere"
    assert "resume" not in stage.connections[1].start


def test_audio_that_engines_die_of_is_not_offered_without_end(browser: Browser, stage: Stage) -> None:
    async def loses_its_engines(connection: Connection) -> None:
        await connection.started()
        await connection.fail("engine_unavailable", retryable=True, retry_after_ms=1)

    told = speak(browser, stage, *[loses_its_engines] * 3)
    assert told["end"]["error"]["reason"] == "engine_unavailable"
    assert len(stage.connections) == 3


def test_a_final_that_comes_again_is_told_once(browser: Browser, stage: Stage) -> None:
    word = {"text": "nine", "start_ms": 100, "end_ms": 180, "confidence": 0.9}
    final = {"text": "nine", "start_ms": 100, "end_ms": 180, "words": [word]}

    async def breaks_before_its_ack(connection: Connection) -> None:
        await connection.started()
        await connection.say("final", **final)
        await connection.listen_to_the_end()
        await connection.break_off()

    async def says_it_again(connection: Connection) -> None:
        await connection.started()
        await connection.say("final", **final)
        await connection.listen_to_the_end()
        await connection.say("finished", audio_ms=1_250)

    told = speak(browser, stage, breaks_before_its_ack, says_it_again)
    assert told["told"].count("final") == 1


def test_whoever_leaves_is_let_go_while_the_session_looks_for_a_gateway(browser: Browser, stage: Stage) -> None:
    async def does_not_answer(connection: Connection) -> None:
        await connection.listen(lambda: False)

    told = speak(browser, stage, breaks(), does_not_answer, is_left=True)
    assert told["end"]["type"] == "left"


def test_where_nobody_answers_the_session_is_unreachable(browser: Browser, stage: Stage) -> None:
    async def breaks_off(connection: Connection) -> None:
        await connection.break_off()

    assert speak(browser, stage, breaks_off)["end"]["type"] == "unreachable"


def test_a_client_that_waits_says_that_it_is_there(browser: Browser, stage: Stage) -> None:
    """The page keeps its source open: audio is paused."""

    async def waits_for_it(connection: Connection) -> None:
        await connection.started()
        await connection.listen(lambda: ("keepalive", 0) in connection.asked)
        await connection.say("finished", audio_ms=0)

    stage.scripts = [waits_for_it]
    silent = SPEAK.replace("session.finish();", "").replace("audio.push(samples.subarray(finalizeAt));", "")
    answer = browser.run_module(silent, 0, {"keepaliveMs": 200}, 0, False)
    assert answer["value"]["end"]["type"] == "finished"


def test_a_refusal_before_the_connection_is_told_although_browsers_hide_it(browser: Browser) -> None:
    """As of an address that connects too often: HTTP 429 in the place of the upgrade."""
    told = {"type": "error", "reason": "address_limited", "message": "too many", "retry_after_ms": 7_000}

    async def refuses(_request: web.Request) -> web.Response:
        return web.json_response(told, status=429)

    with console_served({"/v1/stream": refuses, "/v1/regions": refuses}) as address:
        browser.open(f"{address}/console#token=a.b.c")
        browser.choose_file(path_of("digits_rms.wav"))
        browser.choose("pace", "fast")
        browser.click("start")
        browser.until_over()
        assert browser.part("notice").get_attribute("data-reason") == "address_limited"
        assert "(in 7 s)" in browser.text("notice-text")


def test_whoever_sent_a_whole_file_need_not_wait_for_its_words(browser: Browser, stage: Stage) -> None:
    """The file is sent before anything else happens on the page."""

    async def says_nothing(connection: Connection) -> None:
        await connection.started()
        await connection.listen(lambda: False)

    stage.scripts = [says_nothing]
    browser.open(f"{stage.address}/console#token=a.b.c")
    browser.choose_file(path_of("digits_rms.wav"))
    browser.choose("pace", "fast")
    browser.click("start")
    browser.until(lambda: browser.state == "Finishing…", what="the end of the file")
    assert browser.text("stop") == "Do not wait"
    press_until(browser, "Stopped")


def press_until(browser: Browser, state: str) -> None:
    """The button Stop, whatever it means: what changed just now takes no click."""

    def is_there() -> bool:
        if browser.part("stop").is_displayed():
            browser.click("stop")
        return browser.state == state

    browser.until(is_there, what=state)


def test_a_double_click_on_stop_costs_no_words(browser: Browser, stage: Stage) -> None:
    async def has_a_last_word(connection: Connection) -> None:
        await connection.started()
        await connection.listen_to_the_end()
        await asyncio.sleep(1)
        await connection.say("final", text="nine", start_ms=100, end_ms=180, words=[])
        await connection.say("finished", audio_ms=1_250)

    stage.scripts = [has_a_last_word]
    browser.open(f"{stage.address}/console#token=a.b.c")
    browser.choose_file(path_of("digits_rms.wav"))
    browser.choose("pace", "live")
    browser.click("start")
    browser.until(lambda: browser.state == "Listening", what="the session")
    ActionChains(browser.driver).double_click(browser.part("stop")).perform()
    browser.until_over()
    assert (browser.state, browser.said) == ("Done", ["nine"])


ASK_LATER = """
const devices = navigator.mediaDevices;
const ask = devices.getUserMedia.bind(devices);
devices.getUserMedia = async (wishes) => {
  await new Promise((resolve) => { window.allow = resolve; });
  return (window.opened = await ask(wishes));
};
"""


def test_whoever_presses_stop_while_the_browser_asks_for_the_microphone_is_not_listened_to(
    browser: Browser, stage: Stage
) -> None:
    browser.open(f"{stage.address}/console#token=a.b.c")
    browser.choose_microphone()
    browser.run(ASK_LATER)
    browser.click("start")
    browser.until(lambda: browser.run("return Boolean(window.allow)"), what="the question")
    press_until(browser, "Ready")
    assert browser.part("start").is_displayed()
    browser.run("window.allow()")
    is_closed = "return window.opened?.getTracks().every((track) => track.readyState === 'ended') ?? false"
    browser.until(lambda: browser.run(is_closed), what="a closed microphone")
    assert (browser.state, stage.connections) == ("Ready", [])


@pytest.mark.parametrize("source", ["file", "microphone"])
def test_a_gateway_that_is_not_there_is_told(browser: Browser, source: str) -> None:
    with console_served() as address:
        browser.open(f"{address}/console#token=a.b.c")
        if source == "file":
            browser.choose_file(path_of("digits_rms.wav"))
        else:
            browser.choose_microphone()
    browser.click("start")
    browser.until_over()
    assert browser.text("notice-title") == "The gateway does not answer."
    assert browser.part("start").is_displayed()


def test_a_file_that_is_no_audio_is_told_before_anything_is_sent(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "page.wav").write_text("no audio")
    with console_served() as address:
        browser.open(f"{address}/console#token=a.b.c")
        browser.choose_file(tmp_path / "page.wav")
        browser.click("start")
        browser.until_over()
        assert browser.text("notice-title") == "This browser cannot read the file as audio."


def test_a_plan_that_is_used_up_is_told_once_until_there_are_words_again(browser: Browser, stage: Stage) -> None:
    async def lets_audio_wait(connection: Connection) -> None:
        await connection.started()
        for at_ms in (100, 1_100):
            for is_throttled in (True, False, True, True):
                await connection.say("usage", audio_ms=0, compute_us=0, is_throttled=is_throttled)
            await connection.say("final", text="nine", start_ms=at_ms, end_ms=at_ms + 80, words=[])
        await connection.listen_to_the_end()
        await connection.say("finished", audio_ms=1_250)

    stage.scripts = [lets_audio_wait]
    browser.open(f"{stage.address}/console#token=a.b.c")
    browser.choose_file(path_of("digits_rms.wav"))
    browser.choose("pace", "fast")
    browser.click("start")
    browser.until_over()
    assert browser.remarks == ["The plan is used up for now; audio waits"] * 2


def test_whoever_waits_for_a_session_to_go_on_is_told_why(browser: Browser, stage: Stage) -> None:
    async def is_full(connection: Connection) -> None:
        await connection.fail("no_capacity", message="No engine has a free slot.", retryable=True, retry_after_ms=2_000)
        told.set()

    async def goes_on(connection: Connection) -> None:
        await asyncio.to_thread(seen.wait, RECEIVE_S)
        await finishes(connection)

    told, seen = threading.Event(), threading.Event()
    stage.scripts = [breaks(), is_full, goes_on]
    browser.open(f"{stage.address}/console#token=a.b.c")
    browser.choose_file(path_of("digits_rms.wav"))
    browser.choose("pace", "fast")
    browser.click("start")
    browser.until(lambda: told.is_set() and browser.text("notice-title") != "", what="the reason")
    assert browser.text("notice-title") == "No engine has a free slot."
    assert browser.state == "Connection lost, going on…"
    seen.set()
    browser.until_over()
    assert browser.state == "Done"
    assert not browser.part("notice").is_displayed()
