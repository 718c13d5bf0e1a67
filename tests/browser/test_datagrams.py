"""The console's audio in datagrams: the right words come of it, and what the network lost is told."""

from __future__ import annotations

import asyncio
import re
import threading
import urllib.request
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from gateway.wire.audio_datagrams import encode_datagram, encode_mark
from tests.browser.conftest import SPOKEN, write_wav
from tests.harness.recordings import path_of, pcm_of, silence, transcripts
from tests.harness.region import start_region
from tests.harness.udp_relay import Fate, UdpRelay, Way

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.harness.browser import Browser
    from tests.harness.region import Region

pytestmark = pytest.mark.integration

DIGITS = "digits_rms.wav"
WORDS = transcripts()[DIGITS]
_RELAY_S = 10.0


class RelayOfItsOwn:
    """A UDP relay on a loop in a thread of its own, because Selenium waits in the test's."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._relay = UdpRelay(9)
        self._on_loop(self._relay.__aenter__())
        self.port = self._relay.port

    def _on_loop(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(_RELAY_S)

    def lead_to(self, port: int) -> None:
        self._on_loop(self._change(lambda: self._relay.retarget(port)))

    def become(self, there: Way) -> None:
        self._on_loop(self._change(lambda: setattr(self._relay.there, "way", there)))

    async def _change(self, change: Any) -> None:
        change()

    @property
    def num_lost(self) -> int:
        return len(self._relay.there.packets(Fate.lost))

    def close(self) -> None:
        self._on_loop(self._relay.__aexit__())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_RELAY_S)
        self._loop.close()


@pytest.fixture(scope="module")
def relay() -> Iterator[RelayOfItsOwn]:
    made = RelayOfItsOwn()
    yield made
    made.close()


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory, relay: RelayOfItsOwn) -> Iterator[Region]:
    """Its page finds WebTransport behind the relay."""
    address = f"https://127.0.0.1:{relay.port}/v1/stream"
    with start_region(tmp_path_factory.mktemp("region"), "--webtransport", webtransport__public_url=address) as running:
        listening = psutil.Process(running.gateway_pid).net_connections("udp")
        (port,) = {socket.laddr.port for socket in listening if not socket.raddr}
        relay.lead_to(port)
        yield running


@pytest.fixture
def page(browser: Browser, region: Region, relay: RelayOfItsOwn) -> Browser:
    relay.become(Way())
    browser.open(f"{region.ready['console']}#token={region.token()}")
    browser.run("document.querySelector('.options').open = true")
    browser.choose("transport", "webtransport")
    return browser


def datagrams_taken(region: Region) -> int:
    with urllib.request.urlopen(region.metrics) as answer:
        text = answer.read().decode()
    taken = re.findall(
        r'^patchbay_webtransport_datagrams_total\{[^}]*fate="(?:in_order|put_in_order)"[^}]*\} (\S+)', text, re.M
    )
    return round(sum(map(float, taken)))


def test_a_file_in_datagrams_becomes_the_right_words(page: Browser, region: Region) -> None:
    before = datagrams_taken(region)
    digits_ms = len(pcm_of(DIGITS)) // 32
    page.choose_file(path_of(DIGITS))
    page.click("datagrams")
    page.click("start")
    page.until_over(within_s=60)
    assert page.said == [WORDS]
    assert (page.state, page.figure("transport")) == ("Done", "WebTransport, datagrams")
    page.until(lambda: datagrams_taken(region) >= before + digits_ms // 20, what="the edge's figures")
    assert not page.part("notice").is_displayed()
    assert page.violations == []


def test_a_microphone_in_datagrams_becomes_the_right_words(page: Browser, region: Region) -> None:
    before = datagrams_taken(region)
    page.choose_microphone()
    page.click("datagrams")
    page.click("start")
    page.until(lambda: page.said, what="a final")
    page.click("stop")
    page.until_over()
    assert page.said[0] == transcripts()[SPOKEN]
    assert page.figure("transport") == "WebTransport, datagrams"
    page.until(lambda: datagrams_taken(region) > before, what="the edge's figures")


def test_it_is_off_until_it_is_asked_for_and_means_nothing_where_audio_goes_as_fast_as_it_can(
    page: Browser, region: Region
) -> None:
    assert not page.part("datagrams").is_selected()
    page.click("datagrams")
    page.choose_file(path_of(DIGITS))
    page.choose("pace", "fast")
    page.click("start")
    page.until_over()
    assert page.said == [WORDS]
    assert page.figure("transport") == "WebTransport"


def test_what_the_network_lost_is_told_in_its_place_and_in_all(
    page: Browser, relay: RelayOfItsOwn, tmp_path: Path
) -> None:
    """One remark for a sentence, however many packets."""
    recording = write_wav(tmp_path / "two.wav", pcm_of(DIGITS) + silence(1_500) + pcm_of(DIGITS) + silence(1_500))
    page.choose_file(recording)
    page.click("datagrams")
    page.click("start")
    page.until(lambda: page.state == "Listening", what="the beginning")
    relay.become(Way(loss=0.1))
    page.until(lambda: page.said, within_s=60, what="a sentence")
    relay.become(Way())
    page.until_over(within_s=60)
    assert relay.num_lost > 0
    assert page.state == "Done"
    told = [remark for remark in page.remarks if "did not arrive" in remark]
    assert 1 <= len(told) <= len(page.said) + 2
    assert re.fullmatch(r"(\d+ ms|\d\.\d s) of audio did not arrive; words may be missing", told[0])
    assert re.fullmatch(r"(\d+ ms|\d\.\d s) \(\d+\.\d %\)", page.figure("lost"))


# --- the module ---------------------------------------------------------------------------------------------------


def in_module(page: Browser, module: str, body: str, *arguments: Any) -> Any:
    answer = page.run_module(f"const m = await import('/console/{module}'); {body}", *arguments)
    assert "error" not in answer, answer["error"]
    return answer.get("value")


def test_datagrams_are_written_as_the_gateway_reads_them(browser: Browser, static_console: str) -> None:
    browser.open(static_console)
    audio = bytes(range(256)) * 12 + bytes(128)  # 100 ms at 16 kHz
    written = in_module(
        browser,
        "connection/datagrams.js",
        """const places = new m.DatagramPlaces(given[1]);
           const pieces = [given[0], given[0].slice(0, 20)].map((each) => Uint8Array.from(each));
           const all = pieces.flatMap((each) => places.cut(each));
           return [...all, places.mark()].map((each) => [...each]);""",
        list(audio),
        1_210,
    )
    cut = [audio[:1068], audio[1068:2136], audio[2136:], audio[:20]]
    firsts = [0, 534, 1_068, 1_600]
    expected = [
        encode_datagram(number, first, piece) for number, (first, piece) in enumerate(zip(firsts, cut, strict=True))
    ]
    assert [bytes(each) for each in written] == [*expected, encode_mark(4, 1_610)]


SPEAK_AND_LOSE_THE_CONNECTION = """
const { Session } = await import("/console/connection/session.js");
const { KeptAudio } = await import("/console/connection/kept_audio.js");
const told = [];
const open = async ({ inDatagrams }, { hear }) => {
  const isFirst = told.length === 0;
  const heard = { inDatagrams, afterAudio: [] };
  told.push(heard);
  let lose;
  return {
    inDatagrams,
    whenClosed: new Promise((resolve) => { lose = resolve; }),
    sendAudio: async () => {},
    close() {},
    async sendText(text, { isAfterAudio = false } = {}) {
      const { type } = JSON.parse(text);
      if (isAfterAudio) heard.afterAudio.push(type);
      if (type === "start") hear(JSON.stringify({ type: "started", session_id: "s", resume_token: "r" }));
      if (type === "finish") isFirst ? lose() : hear(JSON.stringify({ type: "finished" }));
    },
  };
};
const ways = [{ transport: "webtransport", url: "https://127.0.0.1", hashes: [], inDatagrams: true }];
const audio = new KeptAudio(60_000);
const parts = { token: "a.b.c", audio, open, waysHere: async () => ways, waysTo: () => [], tell: () => {} };
const session = new Session(parts);
audio.push(new Int16Array(3_200));
session.finalize();
session.finish();
const { type } = await session.run();
return { type, told };
"""


def test_after_a_lost_connection_audio_goes_on_the_stream_and_requests_know_what_they_are_about(
    browser: Browser, static_console: str
) -> None:
    browser.open(static_console)
    answer = browser.run_module(SPEAK_AND_LOSE_THE_CONNECTION)
    asked = ["finalize", "finish"]
    assert answer.get("value") == {
        "type": "finished",
        "told": [{"inDatagrams": True, "afterAudio": asked}, {"inDatagrams": False, "afterAudio": asked}],
    }, answer


@pytest.mark.parametrize(("most_bytes", "fits"), [(0, False), (13, False), (14, True), (1_200, True)])
def test_a_server_without_room_for_audio_in_datagrams_gets_none(
    browser: Browser, static_console: str, most_bytes: int, fits: bool
) -> None:
    browser.open(static_console)
    assert in_module(browser, "connection/datagrams.js", "return m.DatagramPlaces.fits(given[0])", most_bytes) is fits


def test_lost_audio_is_remarked_once_for_a_sentence_and_at_once_where_it_is_much(
    browser: Browser, static_console: str
) -> None:
    browser.open(static_console)
    told = in_module(
        browser,
        "live/lost_audio.js",
        """const lost = new m.LostAudio();
           const said = [lost.total(1_000), lost.unsaid()];
           for (const start of [100, 300]) said.push(lost.lost({ start_ms: start, end_ms: start + 33 }));
           said.push(lost.unsaid(), lost.unsaid(), lost.total(1_000));
           said.push(lost.lost({ start_ms: 2_000, end_ms: 3_200 }), lost.unsaid(), lost.total(10_000));
           return said;""",
    )
    assert told == [
        *["", "", "", ""],
        *["66 ms of audio did not arrive; words may be missing", "", "66 ms (6.6 %)"],
        *["1.2 s of audio did not arrive; words may be missing", "", "1.3 s (12.7 %)"],
    ]
