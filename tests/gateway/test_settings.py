"""The settings tree: every mistake at once, the environment over the file, and no secret in any text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.settings import GatewaySettings, SettingsRefused, as_environment, load, read_tree, shown, validate

pytestmark = pytest.mark.unit

CANARY = "canary-canary-canary-canary-canary-canary"
ISSUER = {
    "issuer": "https://issuer.example",
    "audience": "patchbay",
    "algorithms": ["HS256"],
    "shared_secrets": [{"kid": "a", "value": CANARY}],
}
LEAST = as_environment({"engines__addresses": ["unix:/run/engine.sock"], "tokens__issuers": [ISSUER]})


def mistakes_of(path: Path | None, environment: dict[str, str]) -> list[str]:
    with pytest.raises(SettingsRefused) as refusal:
        load(path, environment)
    assert str(refusal.value) == "; ".join(refusal.value.mistakes)
    return refusal.value.mistakes


def file_of(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "gateway.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


# --- where settings come from -----------------------------------------------------------------------------------


def test_engines_and_tokens_are_all_that_must_be_said() -> None:
    settings = load(None, LEAST)
    assert settings.region == "local"
    assert (settings.http.port, settings.grpc.port, settings.admin.port) == (8080, 8081, 8082)
    assert mistakes_of(None, {}) == ["engines: Field required", "tokens: Field required"]


def test_the_environment_goes_over_the_file_key_by_key(tmp_path: Path) -> None:
    path = file_of(tmp_path, 'region = "eu-1"\n[sessions]\nidle_timeout_ms = 10\nhandshake_timeout_ms = 20\n')
    settings = load(path, LEAST | {"PATCHBAY__SESSIONS__IDLE_TIMEOUT_MS": "11"})
    assert settings.region == "eu-1"
    assert (settings.sessions.idle_timeout_ms, settings.sessions.handshake_timeout_ms) == (11, 20)


@pytest.mark.parametrize(
    ("name", "text", "read"),
    [
        ("REGION", "eu-1", "eu-1"),
        ("REGION", '"12"', "12"),
        ("HTTP__PORT", "0", 0),
        ("HTTP", '{"port": 7, "host": "::1"}', {"port": 7, "host": "::1"}),
        ("SESSIONS__RECOVERY__MAX_LOSSES", "3", 3),
        ("ENGINES__ADDRESSES", '["a:1", "b:2"]', ["a:1", "b:2"]),
        ("TRACING__OTLP_ENDPOINT", "http://127.0.0.1:4317", "http://127.0.0.1:4317"),
        ("LOG_LEVEL", "", ""),
        ("REGION", "[" * 20_000, "[" * 20_000),
        ("HTTP__PORT", "9" * 5_000, "9" * 5_000),
    ],
)
def test_the_environment_is_json_where_it_parses_and_text_elsewhere(name: str, text: str, read: object) -> None:
    tree: Any = read_tree(None, {f"PATCHBAY__{name}": text, "PATCHBAY_TOKEN": "no setting", "HOME": "/"})
    for key in name.lower().split("__"):
        tree = tree[key]
    assert tree == read


def test_what_is_written_as_environment_is_read_back() -> None:
    settings = {"http__port": 1, "tokens__issuers": [ISSUER], "region": "12", "sessions__recovery": {"max_losses": 2}}
    tree = read_tree(None, as_environment(settings))
    assert tree == {
        "http": {"port": 1},
        "tokens": {"issuers": [ISSUER]},
        "region": "12",
        "sessions": {"recovery": {"max_losses": 2}},
    }


def test_a_whole_section_of_the_environment_goes_over_the_files(tmp_path: Path) -> None:
    path = file_of(tmp_path, "http = 3\n")
    assert load(path, LEAST | {"PATCHBAY__HTTP__PORT": "7"}).http.port == 7


# --- what is wrong with them --------------------------------------------------------------------------------------


def test_a_gateway_that_knows_no_engine_and_no_other_region_is_refused(tmp_path: Path) -> None:
    path = file_of(tmp_path, "")
    environment = {
        "PATCHBAY__TOKENS": '{"issuers": [{"issuer": "i", "audience": "a", "jwks_url": "https://a.example"}]}'
    }
    assert "engines needs addresses or discovery" in mistakes_of(path, environment | {"PATCHBAY__ENGINES": "{}"})[0]


def test_every_mistake_is_listed_with_its_place(tmp_path: Path) -> None:
    path = file_of(
        tmp_path,
        """
        region = "EU 1"
        log_level = "loud"
        no_such_section = 1
        [http]
        port = 70000
        [sessions]
        idle_timeout_ms = 0
        no_such_key = true
        [sessions.recovery]
        max_losses = "many"
        """,
    )
    places = sorted(mistake.partition(":")[0] for mistake in mistakes_of(path, {}))
    assert places == [
        "engines",
        "http.port",
        "log_level",
        "no_such_section",
        "region",
        "sessions.idle_timeout_ms",
        "sessions.no_such_key",
        "sessions.recovery.max_losses",
        "tokens",
    ]


def test_regions_that_lend_each_other_compute_know_this_one() -> None:
    environment = LEAST | {
        "PATCHBAY__REGION": "ap",
        "PATCHBAY__ESCROW__DEFAULT_HOME": "eu",
        "PATCHBAY__ESCROW__ADDRESSES": '{"eu": "eu:8083", "us": "us:8083"}',
        "PATCHBAY__ESCROW__SECRET": "a secret of regions",
    }
    (mistake,) = mistakes_of(None, environment)
    assert "escrow.addresses lacks this region, ap" in mistake
    load(None, environment | {"PATCHBAY__REGION": "us"})


def test_operators_are_proved_by_issuers_that_are_trusted() -> None:
    (mistake,) = mistakes_of(None, LEAST | {"PATCHBAY__OPERATIONS__ISSUERS": '["https://nobody.example/"]'})
    assert "tokens.issuers has no https://nobody.example/" in mistake


def test_a_drain_that_would_cut_words_is_refused() -> None:
    (mistake,) = mistakes_of(None, LEAST | {"PATCHBAY__DRAIN__FINISH_MS": "30800"})
    assert mistake.startswith("settings: ")
    assert "drain.finish_ms must exceed the longest utterance and its pause (30800 ms)" in mistake
    for good in ("30801", "0"):
        load(None, LEAST | {"PATCHBAY__DRAIN__FINISH_MS": good})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("this is = no [toml", "Expected"),
        ("a = 1\na = 2\n", "Cannot overwrite a value"),
        (b"\xff\xfe\x00", "utf-8"),
        (f'[tokens]\nshared = "{CANARY}', "Illegal character"),
        (f"shared = {CANARY}", "Invalid"),
    ],
)
def test_a_file_that_is_no_toml_is_named_with_what_is_wrong(tmp_path: Path, text: str | bytes, says: str) -> None:
    path = file_of(tmp_path, text + "\n" if isinstance(text, str) else text)
    (mistake,) = mistakes_of(path, LEAST)
    assert mistake.startswith(f"{path}: ")
    assert says in mistake
    assert "canary" not in mistake


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    assert mistakes_of(tmp_path / "none.toml", LEAST) == [f"{tmp_path / 'none.toml'}: No such file or directory"]
    assert mistakes_of(tmp_path, LEAST) == [f"{tmp_path}: Is a directory"]


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3))
@example({"PATCHBAY__": "1"})
@example({"PATCHBAY__HTTP": "1", "PATCHBAY__HTTP__PORT": "1", "PATCHBAY__HTTP__PORT__X": "1"})
def test_whatever_the_environment_says_settings_are_read_or_refused(environment: dict[str, str]) -> None:
    named = {name if name.startswith("PATCHBAY__") else f"PATCHBAY__{name}": v for name, v in environment.items()}
    assert mistakes_of(None, named)


# --- secrets --------------------------------------------------------------------------------------------------------

MISPLACED: list[dict[str, Any]] = [
    {"tokens": {"issuers": [ISSUER | {"shared_secrets": [{"kid": "a", "value": "canary"}]}]}},
    {"tokens": {"issuers": [ISSUER | {"shared_secrets": [{"kid": f"{CANARY} ", "value": CANARY}]}]}},
    {"tokens": {"issuers": [ISSUER | {"shared_secrets": [{"kid": "a", "value": [CANARY]}]}]}},
    {"tokens": {"issuers": [ISSUER | {"shared_secrets": [CANARY]}]}},
    {"tokens": {"issuers": [ISSUER | {"shared_secrets": CANARY}]}},
    {"tokens": {"issuers": [ISSUER | {"algorithms": [CANARY]}]}},
    {"tokens": {"issuers": [ISSUER | {"unknown": CANARY}]}},
    {"tokens": {"issuers": [ISSUER], "leeway_s": CANARY}},
    {"tokens": {"issuers": CANARY}},
    {"tokens": {"issuers": [CANARY]}},
    {"tokens": CANARY},
    {"region": CANARY.upper()},
    {"drain": {"finish_ms": 1}, "tokens": {"issuers": [ISSUER]}},
]


@pytest.mark.parametrize("tree", MISPLACED)
def test_a_secret_stands_in_no_mistake_wherever_it_was_put(tree: dict[str, Any]) -> None:
    whole = {"engines": {"addresses": ["unix:a"]}} | tree
    with pytest.raises(SettingsRefused) as refusal:
        validate(whole)
    assert "canary" not in f"{refusal.value!r} {refusal.value}".lower()
    with pytest.raises(ValidationError) as raw:
        GatewaySettings.model_validate(whole)
    assert "canary" not in str(raw.value).lower()


def test_shown_settings_have_stars_for_secrets_and_everything_else_as_it_is() -> None:
    tree = shown(load(None, LEAST))
    text = json.dumps(tree)
    assert "canary" not in text
    (secret,) = tree["tokens"]["issuers"][0]["shared_secrets"]
    assert (secret["kid"], set(secret["value"])) == ("a", {"*"})
    assert tree["sessions"]["idle_timeout_ms"] == 30_000
    assert "canary" not in repr(load(None, LEAST))
