"""The files of the console as they lie in the package."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

import pytest

from gateway.console.static_files import read_static_files
from gateway.errors import TABLE, Fault, Reason

pytestmark = pytest.mark.unit

FILES = read_static_files()
MOST_LINES = 400

_IMPORT = re.compile(r'from "(?P<path>\.[^"]*)"')
_LINK = re.compile(r'(?:href|src)="(?P<path>[^"#][^"]*)"')


def text_of(name: str) -> str:
    return FILES[name].body.decode()


def scripts() -> list[str]:
    return [name for name in FILES if name.endswith(".js")]


def test_a_file_has_the_type_of_its_name_and_a_tag_of_its_bytes() -> None:
    assert FILES["main.js"].content_type == "text/javascript"
    assert FILES["icon.svg"].content_type == "image/svg+xml"
    assert len({file.tag for file in FILES.values()}) == len({file.body for file in FILES.values()})


@pytest.mark.parametrize("name", scripts())
def test_a_script_imports_files_that_there_are(name: str) -> None:
    for found in _IMPORT.finditer(text_of(name)):
        parts: list[str] = []
        for part in (*PurePosixPath(name).parent.parts, *PurePosixPath(found["path"]).parts):
            parts = parts[:-1] if part == ".." else parts if part == "." else [*parts, part]
        assert "/".join(parts) in FILES, f"{name} imports {found['path']}"


def test_the_page_names_files_that_there_are() -> None:
    named = [found["path"] for found in _LINK.finditer(text_of("console.html"))]
    assert [path for path in named if path.removeprefix("console/") not in FILES] == []


def test_no_file_holds_an_address_of_another_host() -> None:
    """SVG names its own namespace, which nobody fetches."""
    for name, file in FILES.items():
        addresses = set(
            re.findall(rb"(?:https?|wss?)://[a-z0-9]", file.body.replace(b"http://www.w3.org/2000/svg", b""))
        )
        assert addresses == set(), name


def test_the_page_has_no_script_and_no_style_of_its_own() -> None:
    """Its Content Security Policy lets neither run."""
    page = text_of("console.html")
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?! type=\"module\" src=)", page)


def test_no_script_turns_text_into_markup_or_code() -> None:
    for name in scripts():
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text_of(name)
        )


def test_no_script_keeps_anything_in_the_browser() -> None:
    for name in scripts():
        assert not re.search(r"localStorage|sessionStorage|indexedDB|document\.cookie", text_of(name))


def test_a_file_begins_with_its_subject_and_is_short() -> None:
    for name in scripts():
        lines = text_of(name).splitlines()
        assert lines[0].startswith("// "), name
        assert len(lines) <= MOST_LINES, name


def test_every_reason_that_clients_hear_has_its_advice_and_no_other() -> None:
    advice = re.search(r"const ADVICE = \{(.*?)\};", text_of("connection/reasons.js"), re.DOTALL)
    assert advice is not None
    told = {reason.value for reason in Reason if TABLE[reason].fault is not Fault.nobody}
    assert set(re.findall(r"^  (\w+):", advice[1], re.MULTILINE)) == told
