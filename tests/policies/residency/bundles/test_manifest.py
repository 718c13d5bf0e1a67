"""Which files a bundle may have, and digests that anybody can check."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.residency.bundles import manifest
from policies.residency.bundles.manifest import MAX_FILES, check_files, files_digest, text_in
from policies.residency.bundles.mistakes import BundleRefused, Mistakes
from tests.harness.residency_bundle import residency_files

pytestmark = pytest.mark.unit


def told(files: dict[str, bytes]) -> list[str]:
    mistakes = Mistakes()
    check_files(files, mistakes)
    try:
        mistakes.refuse_if_any()
    except BundleRefused as refused:
        return refused.mistakes
    return []


def test_the_digest_is_what_sha256sum_makes_of_the_folder(tmp_path: Path) -> None:
    files = residency_files(more_files=[("signatures/ada.sig", b"x"), ("scenarios/a.yaml", b"[]")])
    for path, content in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    shell = shutil.which("sh")
    assert shell is not None
    command = "find . -type f ! -path './signatures/*' -printf '%P\\n' | LC_ALL=C sort | xargs sha256sum | sha256sum"
    made = subprocess.run([shell, "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=30)
    assert files_digest(files) == made.stdout.split()[0]


def test_signatures_do_not_change_the_digest_and_everything_else_does() -> None:
    files = residency_files()
    digest = files_digest(files)
    assert files_digest(files | {"signatures/ada.sig": b"x"}) == digest
    for path in files:
        assert files_digest(files | {path: files[path] + b" "}) != digest
    assert files_digest(files | {"README.md": b""}) != digest


def test_each_part_has_a_digest_of_its_own() -> None:
    files = residency_files()
    parts = (manifest.policy_digest, manifest.schema_digest, manifest.entities_digest)
    changed = {
        path: [part(files | {path: b"#"}) != part(files) for part in parts]
        for path in ("rules/all.cedar", "schema.cedarschema", "projects.toml", "bundle.toml")
    }
    assert changed == {
        "rules/all.cedar": [True, False, False],
        "schema.cedarschema": [False, True, False],
        "projects.toml": [False, False, True],
        "bundle.toml": [False, False, False],
    }


@given(path=st.text(max_size=20))
def test_a_path_that_would_read_as_another_line_is_refused(path: str) -> None:
    try:
        files_digest({path: b""})
    except BundleRefused:
        return
    assert path.isascii()
    assert "\n" not in path
    assert ".." not in path.split("/")


def test_what_is_missing_foreign_or_too_large_is_told() -> None:
    files = residency_files()
    assert told(files) == []
    del files["regions.toml"], files["rules/all.cedar"]
    files |= {"notes.txt": b"", "rules/../x.cedar": b"", "bundle.toml": b" " * 20_000, "docs/why.md": b""}
    assert told(files) == [
        "regions.toml: is missing",
        "bundle.toml: is larger than 16384 bytes",
        "notes.txt: is no file of a bundle",
        "'rules/../x.cedar': is no plain path (letters, digits, and . _ - inside names)",
    ]
    assert told({}) != []
    assert told({f"{number}.md": b"" for number in range(MAX_FILES + 1)}) == [
        f"bundle: {MAX_FILES + 1} files, more than {MAX_FILES}"
    ]


@pytest.mark.parametrize(
    ("content", "said"), [(b"\xff", "not UTF-8 at byte 0"), (b"a\0", "has a character that nobody sees, <U.0000>")]
)
def test_what_is_no_text_is_told(content: bytes, said: str) -> None:
    mistakes = Mistakes()
    assert text_in({"a": content}, "a", mistakes) is None
    with pytest.raises(BundleRefused, match=said):
        mistakes.refuse_if_any()


def test_files_of_rules_and_of_scenarios_are_found_in_order() -> None:
    files = {
        "rules/b.cedar": b"",
        "rules/a.cedar": b"",
        "rules/a.md": b"",
        "scenarios/x.yaml": b"",
        "scenarios/x.md": b"",
    }
    assert manifest.rule_files(files) == ["rules/a.cedar", "rules/b.cedar"]
    assert list(manifest.scenario_files(files)) == ["scenarios/x.yaml"]
