"""The console in a real browser, before a real region: words come out, whatever happens on the way."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.browser.conftest import SPOKEN, write_wav
from tests.harness.recordings import path_of, pcm_of, silence, transcripts
from tests.harness.region import start_region, stopped

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.harness.browser import Browser
    from tests.harness.region import Region

pytestmark = pytest.mark.integration

DIGITS = "digits_rms.wav"
WORDS = transcripts()[DIGITS]
FORWARD = "forward_f5.wav"


@pytest.fixture(scope="module")
def webtransport_region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    with start_region(tmp_path_factory.mktemp("region"), "--webtransport") as running:
        yield running


@pytest.fixture
def page(browser: Browser, webtransport_region: Region) -> Browser:
    """The console with a good token in its field."""
    browser.open(f"{webtransport_region.ready['console']}#token={webtransport_region.token()}")
    return browser


def edge_processes(region: Region) -> list[psutil.Process]:
    children = psutil.Process(region.gateway_pid).children(recursive=True)
    return [child for child in children if "gateway.webtransport" in child.cmdline()]


def test_a_file_becomes_the_right_words_and_nothing_goes_to_another_host_or_breaks_a_rule_of_the_page(
    page: Browser,
) -> None:
    page.choose_file(path_of(DIGITS))
    page.choose("pace", "fast")
    page.click("start")
    page.until_over()
    assert page.said == [WORDS]
    assert (page.state, page.figure("transport"), page.figure("words")) == ("Done", "WebTransport", "10")
    assert (page.figure("region"), page.figure("engine-region")) == ("local", "local")
    assert page.figure("final-note").startswith("after it was asked for")
    assert page.remarks == []
    assert page.violations == []
    assert page.hosts() == {"127.0.0.1"}


def test_a_microphone_becomes_the_right_words(page: Browser) -> None:
    page.choose_microphone()
    page.click("start")
    page.until(lambda: page.state == "Listening")
    page.until(lambda: page.said, what="a final")
    page.click("stop")
    page.until_over()
    assert page.said[0] == transcripts()[SPOKEN]
    assert page.figure("transport") == "WebTransport"
    assert int(page.figure("first-partial").replace(",", "")) > 0
    assert page.figure("final-note").startswith("after speech ends")


def test_webtransport_that_does_not_answer_is_given_up_for_websocket(
    page: Browser, webtransport_region: Region
) -> None:
    page.choose_file(path_of(DIGITS))
    page.choose("pace", "fast")
    (edge,) = edge_processes(webtransport_region)
    with stopped(edge.pid):
        page.click("start")
        page.until_over()
    assert page.said == [WORDS]
    assert page.figure("transport") == "WebSocket"
    assert page.remarks == ["WebTransport did not answer, so WebSocket is used"]


def test_a_token_that_is_refused_is_told_in_plain_words_and_can_be_mended(
    page: Browser, webtransport_region: Region
) -> None:
    page.part("token").clear()
    page.part("token").send_keys("no.such.token")
    page.choose_file(path_of(DIGITS))
    page.choose("pace", "fast")
    page.click("start")
    page.until_over()
    assert page.part("notice").get_attribute("data-reason") == "token_malformed"
    assert "three parts" in page.text("notice-text")
    assert page.part("token").get_attribute("aria-invalid") == "true"
    assert page.driver.switch_to.active_element == page.part("token")
    page.part("token").clear()
    page.part("token").send_keys(webtransport_region.token())
    page.click("start")
    page.until_over()
    assert page.said == [WORDS]
    assert not page.part("notice").is_displayed()


def test_a_microphone_that_is_not_allowed_is_told_with_what_to_do(page: Browser) -> None:
    page.permit("microphone", "denied")
    try:
        page.choose_microphone()
        page.click("start")
        page.until_over()
        assert page.text("notice-title") == "The microphone was not allowed."
        assert page.part("start").is_displayed()
    finally:
        page.permit("microphone", "granted")


def test_the_token_stays_in_the_tabs_memory(page: Browser) -> None:
    token = page.part("token").get_attribute("value") or ""
    assert token.count(".") == 2
    assert "#" not in page.driver.current_url
    kept = page.run("return JSON.stringify([localStorage, sessionStorage, document.cookie, history.state])")
    assert token not in kept
    assert all(token not in url.partition("#")[0] for url in page.requests())


def test_a_killed_gateway_costs_no_word_and_doubles_none(
    page: Browser, webtransport_region: Region, tmp_path: Path
) -> None:
    recording = write_wav(tmp_path / "two.wav", pcm_of(SPOKEN) + silence(1_000) + pcm_of(FORWARD) + silence(300))
    page.choose_file(recording)
    page.click("start")
    page.until(lambda: page.said and page.text("partial"), what="a word of the second utterance")
    os.kill(webtransport_region.gateway_pid, signal.SIGKILL)
    page.until_over(within_s=60)
    assert page.said == [transcripts()[SPOKEN], transcripts()[FORWARD]]
    assert page.figure("resumed") == "once"
    assert any("Connection lost" in remark for remark in page.remarks)
