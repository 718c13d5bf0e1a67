"""Headless Chromium, driven by Selenium: the console as its user sees it."""

from __future__ import annotations

import contextlib
import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from tests.harness.waiting import until_sync

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from selenium.webdriver.remote.webelement import WebElement

WIDTH_PX, HEIGHT_PX = 1_280, 800
SCRIPT_S = 30.0

_FLAGS = (
    "--headless",
    "--no-sandbox",  # only because tests may run as root
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # nothing leaves this machine
)
_NETWORK_SCHEMES = frozenset({"http", "https", "ws", "wss"})
_NOTE_VIOLATIONS = """
window.violations = [];
addEventListener("securitypolicyviolation", (event) => {
  window.violations.push(`${event.violatedDirective}: ${event.blockedURI}`);
});
"""
_REQUESTS = {
    "Network.requestWillBeSent": lambda event: event["request"]["url"],
    "Network.webSocketCreated": lambda event: event["url"],
    "Network.webTransportCreated": lambda event: event["url"],
}


@dataclass
class Browser:
    """One window. Parts of the page are named as its markup names them, by data-part."""

    driver: webdriver.Chrome

    def open(self, url: str) -> None:
        """Load the page anew and wait until its scripts ran."""
        self.driver.get("about:blank")  # else a change of the fragment alone loads nothing
        self.driver.get(url)
        self.until(lambda: self.run("return document.documentElement.dataset.ready === 'true'"), what="the page")

    def part(self, name: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, f'[data-part="{name}"]')

    def text(self, name: str) -> str:
        return self.part(name).text

    def figure(self, name: str) -> str:
        return self.driver.find_element(By.CSS_SELECTOR, f'[data-figure="{name}"]').text

    def click(self, name: str) -> None:
        self.part(name).click()

    def choose(self, name: str, value: str) -> None:
        """In a list of choices, which need not be in view."""
        self.run("arguments[0].value = arguments[1]", self.part(name), value)

    def choose_file(self, path: Path) -> None:
        self.driver.find_element(By.CSS_SELECTOR, "label[for=source-file]").click()
        self.part("file").send_keys(str(path))

    def choose_microphone(self) -> None:
        self.driver.find_element(By.CSS_SELECTOR, "label[for=source-microphone]").click()

    @property
    def state(self) -> str:
        return self.text("state-text")

    @property
    def said(self) -> list[str]:
        """The finals on the page."""
        with contextlib.suppress(NoSuchElementException, StaleElementReferenceException):
            return [each.text for each in self.driver.find_elements(By.CSS_SELECTOR, ".said")]
        return []

    @property
    def remarks(self) -> list[str]:
        return [each.text for each in self.driver.find_elements(By.CSS_SELECTOR, ".aside")]

    def until(self, condition: Any, *, within_s: float = 20.0, what: str = "the condition") -> None:
        until_sync(condition, within_s=within_s, what=what)

    def until_over(self, *, within_s: float = 30.0) -> None:
        self.until(lambda: self.state in ("Done", "Stopped"), within_s=within_s, what="the session's end")

    # --- scripts ------------------------------------------------------------------------------------------

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)  # type: ignore[no-untyped-call]

    def run_module(self, body: str, *arguments: Any) -> Any:
        """Run the body of an async function, with `given` as its arguments, and give what it returns."""
        return self.driver.execute_async_script(  # type: ignore[no-untyped-call]
            "const given = [...arguments]; const done = given.pop();"
            f"(async () => {{ {body} }})()"
            ".then((value) => done({ value }), (error) => done({ error: String(error.stack) }));",
            *arguments,
        )

    # --- what it did -----------------------------------------------------------------------------------------

    @property
    def violations(self) -> list[str]:
        """Of the page's Content Security Policy, since it was loaded."""
        found: list[str] = self.run("return window.violations")
        return found

    def requests(self) -> list[str]:
        """The address of every request and connection since the last call."""
        found = []
        for row in self.driver.get_log("performance"):  # type: ignore[no-untyped-call]
            message = json.loads(row["message"])["message"]
            address_of = _REQUESTS.get(message["method"])
            if address_of is not None:
                found.append(address_of(message["params"]))
        return found

    def hosts(self) -> set[str]:
        """Those of `requests` that left the browser: its own pages have schemes of theirs."""
        parts = [urlsplit(url) for url in self.requests()]
        return {part.hostname or "" for part in parts if part.scheme in _NETWORK_SCHEMES}

    def set_size(self, width_px: int, height_px: int, *, is_phone: bool = False) -> None:
        """Of what the page sees, whatever the window's frame takes."""
        size = {"width": width_px, "height": height_px, "deviceScaleFactor": 2 if is_phone else 1, "mobile": is_phone}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def prefer(self, **features: str) -> None:
        """Media features: prefers_color_scheme="dark"."""
        named = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": named})

    def permit(self, name: str, setting: str) -> None:
        """`setting`: granted or denied."""
        self.driver.execute_cdp_cmd("Browser.setPermission", {"permission": {"name": name}, "setting": setting})


@contextlib.contextmanager
def running_browser(folder: Path, *, microphone: Path | None = None) -> Iterator[Browser]:
    """A browser with a profile of its own; `microphone`: a WAV file that it hears, again and again."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    assert None not in (chromium, driver), "chromium and chromedriver are not installed; scripts/setup.sh installs them"
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    flags = [*_FLAGS, f"--user-data-dir={folder / 'profile'}", f"--window-size={WIDTH_PX},{HEIGHT_PX}"]
    if microphone is not None:
        flags += [
            "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-audio-capture={microphone}",
        ]
    for flag in flags:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    running = webdriver.Chrome(options=options, service=Service(driver))
    try:
        running.set_script_timeout(SCRIPT_S)
        running.set_page_load_timeout(SCRIPT_S)
        running.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": _NOTE_VIOLATIONS})
        browser = Browser(running)
        if microphone is not None:
            browser.permit("microphone", "granted")
        yield browser
    finally:
        running.quit()
