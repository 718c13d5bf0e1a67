"""How the console looks and is used: on a phone, in the dark, by keyboard, by those who hear it read."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from selenium.webdriver.common.keys import Keys

from tests.harness.browser import HEIGHT_PX, WIDTH_PX
from tests.harness.recordings import path_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.harness.browser import Browser
    from tests.harness.region import Region

pytestmark = pytest.mark.integration

IMAGES = Path(__file__).parents[2] / "docs" / "images"
MOST_IMAGE_BYTES = 200_000
PHONE_PX = (390, 844)
SMALL_PHONE_PX = (320, 568)
SCHEMES = ("light", "dark")

FILL = """
const { partsOf } = await import("/console/shell/parts.js");
const { Captions } = await import("/console/live/captions.js");
const { Notice } = await import("/console/live/notice.js");
const part = partsOf(document.getElementById("live"));
const captions = new Captions(part);
captions.final({ text: "transfer two hundred dollars to account four seven one", start_ms: 900, words: [] });
captions.remark("Connection lost for 1.2 s; gone on over WebSocket, no word missing");
captions.remark("0.3 s of audio did not arrive", { isWarning: true });
captions.final({ text: "a".repeat(120), start_ms: 3_723_000, words: [] });
captions.partial({ text: "set the volume to thirty", stable_chars: 14 });
new Notice(part).show({ title: "The token's `exp` has passed.", text: "Paste a new token.", reason: "token_expired" });
const shownLater = "[data-row], [data-part=stop], [data-part=finalize], [data-part=level]";
for (const hidden of document.querySelectorAll(shownLater)) hidden.hidden = false;
document.querySelector("details").open = true;
"""

LOW_CONTRASTS = """
const parse = (text) => text.match(/[\\d.]+/g).map(Number);
const linear = (value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
const ground = (node) => {
  for (let at = node; at; at = at.parentElement) {
    const colour = parse(getComputedStyle(at).backgroundColor);
    if (colour.length === 3 || colour[3] > 0) return colour;
  }
  return [255, 255, 255];
};
const low = [];
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (texts.nextNode()) {
  const box = texts.currentNode.parentElement;
  const style = getComputedStyle(box);
  if (!texts.currentNode.data.trim() || !box.checkVisibility()) continue;
  if (box.matches("noscript, :disabled, :disabled *")) continue;
  const [a, b] = [luminance(parse(style.color)), luminance(ground(box))].sort((x, y) => y - x);
  const ratio = (a + 0.05) / (b + 0.05);
  const size = parseFloat(style.fontSize);
  const isLarge = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
  if (ratio < (isLarge ? 3 : 4.5)) low.push([texts.currentNode.data.trim(), ratio.toFixed(2)]);
}
return low;
"""


@pytest.fixture(scope="module")
def empty_page(browser: Browser, static_console: str) -> Browser:
    """As it comes. Its tests stand before those of the one that is filled: there is one window."""
    browser.set_size(WIDTH_PX, HEIGHT_PX)
    browser.open(static_console)
    return browser


@pytest.fixture
def page(empty_page: Browser) -> Iterator[Browser]:
    yield empty_page
    empty_page.prefer()


@pytest.fixture(scope="module")
def filled_page(browser: Browser, static_console: str) -> Browser:
    """With something of everything that the page can show."""
    browser.set_size(WIDTH_PX, HEIGHT_PX)
    browser.open(static_console)
    answer = browser.run_module(FILL)
    assert "error" not in answer, answer["error"]
    return browser


@pytest.fixture
def filled(filled_page: Browser) -> Iterator[Browser]:
    yield filled_page
    filled_page.set_size(WIDTH_PX, HEIGHT_PX)
    filled_page.prefer()


def test_the_keyboard_reaches_everything_in_the_order_of_the_page(page: Browser) -> None:
    page.driver.switch_to.active_element.send_keys(Keys.TAB)
    reached = []
    for _ in range(7):
        active = page.driver.switch_to.active_element
        reached.append(active.get_attribute("data-part") or active.tag_name)
        active.send_keys(Keys.TAB)
    assert reached == ["a", "token", "show-token", "source", "summary", "start", "scroll"]


def test_finals_are_read_out_and_what_still_changes_is_not(page: Browser) -> None:
    assert page.part("log").get_attribute("aria-live") == "polite"
    assert page.part("partial").get_attribute("aria-live") == "off"


def test_the_dark_page_is_dark(page: Browser) -> None:
    page.prefer(prefers_color_scheme="dark")
    assert page.run("return matchMedia('(prefers-color-scheme: dark)').matches")
    red, green, blue = page.run(
        "return getComputedStyle(document.documentElement).backgroundColor.match(/\\d+/g).map(Number)"
    )
    assert max(red, green, blue) < 64


def test_a_shown_token_can_be_hidden_again(page: Browser) -> None:
    shown = [page.part("token").get_attribute("type")]
    for _ in range(2):
        page.click("show-token")
        shown.append(page.part("token").get_attribute("type"))
    assert shown == ["password", "text", "password"]


def test_nothing_moves_for_those_who_asked_for_rest(page: Browser) -> None:
    page.prefer(prefers_reduced_motion="reduce")
    page.run("document.querySelector('[data-part=state]').dataset.state = 'live'")
    assert page.run("return getComputedStyle(document.querySelector('.lamp')).animationName") == "none"


def test_enter_in_the_tokens_field_starts(page: Browser) -> None:
    page.part("token").send_keys(Keys.ENTER)
    assert page.text("notice-title") == "A token is needed."
    assert page.driver.current_url.endswith("/console")


@pytest.mark.parametrize("size_px", [PHONE_PX, SMALL_PHONE_PX, (860, 600), (WIDTH_PX, HEIGHT_PX)], ids=str)
def test_nothing_scrolls_sideways(filled: Browser, size_px: tuple[int, int]) -> None:
    filled.set_size(*size_px, is_phone=size_px[0] < 600)
    width, seen = filled.run("return [document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert width <= seen
    too_wide = filled.run(
        """return [...document.querySelectorAll("main *")]
             .filter((each) => each.checkVisibility() && each.getBoundingClientRect().right > innerWidth + 1)
             .map((each) => each.outerHTML.slice(0, 80))"""
    )
    assert too_wide == []


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_text_stands_out_from_its_ground(filled: Browser, scheme: str) -> None:
    """WCAG 2.2, 1.4.3: 4.5 to 1, of large text 3 to 1."""
    filled.prefer(prefers_color_scheme=scheme, prefers_reduced_motion="reduce")  # no colour on its way
    assert filled.run(LOW_CONTRASTS) == []


def test_what_is_chosen_is_seen_by_those_who_force_colours_of_their_own(page: Browser) -> None:
    page.prefer(forced_colors="active")
    grounds = page.run(
        "return [...document.querySelectorAll('.segments label')].map((each) => getComputedStyle(each).backgroundColor)"
    )
    assert len(set(grounds)) == 2


def test_everything_that_is_used_has_a_name_for_those_who_hear_it(filled: Browser) -> None:
    roles = {"button", "textbox", "radio", "combobox", "checkbox", "DisclosureTriangle", "log", "region", "status"}
    tree: list[dict[str, Any]] = filled.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    used = [node for node in tree if not node["ignored"] and node["role"]["value"] in roles]
    nameless = [node["role"]["value"] for node in used if not node.get("name", {}).get("value")]
    assert len(used) > 12
    assert [role for role in nameless if role != "status"] == []  # a status is named by what it says


def test_the_transcript_is_copied_as_it_stands(filled: Browser) -> None:
    filled.permit("clipboard-write", "granted")
    filled.permit("clipboard-read", "granted")
    filled.click("copy")
    filled.until(lambda: filled.text("copy") == "Copied", what="the copy")
    answer = filled.run_module("return navigator.clipboard.readText()")
    assert answer["value"] == "transfer two hundred dollars to account four seven one\n" + "a" * 120


def test_words_run_in_the_direction_of_their_script(filled: Browser) -> None:
    answer = filled.run_module("""
        const { partsOf } = await import("/console/shell/parts.js");
        const { Captions } = await import("/console/live/captions.js");
        const captions = new Captions(partsOf(document.getElementById("live")));
        captions.final({ text: "مرحبا بالعالم 123.", start_ms: 0 });
        captions.partial({ text: "שלום עולם.", stable_chars: 4 });
        const shown = [...document.querySelectorAll(".said"), document.querySelector(".partial")].slice(-2);
        const directions = shown.map((each) => getComputedStyle(each).direction);
        document.querySelector(".final:last-child").remove();
        captions.partial({ text: "set the volume to thirty", stable_chars: 14 });
        return directions;
    """)
    assert answer["value"] == ["rtl", "rtl"]


COST_OF_A_SENTENCE = """
const { partsOf } = await import("/console/shell/parts.js");
const { Captions } = await import("/console/live/captions.js");
const part = partsOf(document.getElementById("live"));
const captions = new Captions(part);
const before = [...part("log").childNodes];
const costs = given.map((length) => {
  const entry = part("log").querySelector(".final");
  part("log").replaceChildren(...Array.from({ length }, () => entry.cloneNode(true)));
  const times = Array.from({ length: 20 }, () => {
    const beganAt = performance.now();
    captions.final({ text: "nine eight seven", start_ms: 0 });
    return performance.now() - beganAt;
  });
  return Math.min(...times);
});
part("log").replaceChildren(...before);
return costs;
"""


@pytest.mark.parametrize("size_px", [PHONE_PX, (WIDTH_PX, HEIGHT_PX)], ids=str)
def test_a_sentence_costs_little_more_behind_a_thousand_others(filled: Browser, size_px: tuple[int, int]) -> None:
    """It was fifty times as much. The quickest of each is compared, so that a busy machine changes nothing."""
    filled.set_size(*size_px, is_phone=size_px[0] < 600)
    short_ms, long_ms = filled.run_module(COST_OF_A_SENTENCE, 20, 1_000)["value"]
    assert long_ms < 10 * short_ms + 1


# --- the pictures of docs/console.md ----------------------------------------------------------------------------


def take_picture(page: Browser, name: str) -> None:
    image = Image.open(io.BytesIO(page.driver.get_screenshot_as_png())).convert("RGB")
    image.save(IMAGES / name, optimize=True)


def test_the_pictures_of_the_documentation_are_small(
    browser: Browser, new_region: Callable[..., Region], is_long: bool
) -> None:
    """The long form takes them anew, of a real session over WebTransport."""
    if is_long:
        region = new_region("--webtransport", region="eu-west")
        browser.set_size(WIDTH_PX, HEIGHT_PX)
        browser.prefer(prefers_color_scheme="light", prefers_reduced_motion="reduce")
        browser.open(f"{region.ready['console']}#token={region.token()}")
        browser.choose_file(path_of("dialogue_awb.wav"))
        browser.click("start")
        browser.until(lambda: len(browser.said) >= 4 and len(browser.text("partial")) > 12, within_s=40)
        take_picture(browser, "console.png")
        browser.prefer(prefers_color_scheme="dark", prefers_reduced_motion="reduce")
        take_picture(browser, "console-dark.png")
        browser.set_size(*PHONE_PX, is_phone=True)
        browser.run("document.querySelector('.captions').scrollIntoView()")
        take_picture(browser, "console-phone.png")
    for picture in ("console.png", "console-dark.png", "console-phone.png"):
        assert (IMAGES / picture).stat().st_size < MOST_IMAGE_BYTES
