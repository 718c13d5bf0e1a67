"""An engine with grant keys takes no stream that it was not permitted, whoever asks."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from engines.interface import OpenStream, RefusalReason, Refused, StreamOptions
from engines.server.grants import GrantChecker
from policies.residency.grant import PlacementGrant
from policies.routing_facts import CapacityClass
from tests.harness.engine import Listener, linked, running_engine
from tests.harness.grants import GrantKeys

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RESERVED, SPOT = CapacityClass.reserved, CapacityClass.spot
ONLY_RESERVED = {"eu-west": frozenset({RESERVED})}

unit = pytest.mark.unit


def asked(grant: bytes, *, session_id: str = "s", is_replay: bool = False) -> OpenStream:
    return OpenStream(
        session_id=session_id,
        tenant="t",
        epoch=1,
        start_sample=0,
        options=StreamOptions(),
        grant=grant,
        is_replay=is_replay,
    )


@pytest.fixture
def keys(tmp_path: Path) -> GrantKeys:
    return GrantKeys(tmp_path / "keys", "eu-west", "us-east")


def forged(keys: GrantKeys) -> bytes:
    """Signed by another region than it says."""
    good = keys.grant("eu-west", "eu-west")
    other = keys.grant("us-east", "eu-west")
    return good[:-64] + other[-64:]


def changed(keys: GrantKeys) -> bytes:
    """One region more than was signed."""
    good = keys.grant("eu-west", "us-east")
    return good.replace(b"us-east", b"eu-west", 1)


WRONG: list[tuple[str, Callable[[GrantKeys], bytes]]] = [
    ("missing", lambda _keys: b""),
    ("malformed", lambda _keys: b"x" * 100),
    ("forged", forged),
    ("other_region", lambda keys: keys.grant("eu-west", "us-east")),
    ("other_session", lambda keys: keys.grant("eu-west", "eu-west", session_id="another")),
    ("expired", lambda keys: keys.grant("eu-west", "eu-west", issued_at_s=1_000, expires_at_s=1_060)),
]


@unit
@pytest.mark.parametrize(("why", "make"), [*WRONG, ("forged", changed)])
def test_a_wrong_grant_is_refused_and_said_why(keys: GrantKeys, why: str, make: Callable[[GrantKeys], bytes]) -> None:
    checker = GrantChecker(keys.folder, region="eu-west", capacity=RESERVED)
    assert checker.refusal_of(asked(make(keys))) == why


@unit
def test_a_good_one_is_given_back_with_what_it_says(keys: GrantKeys) -> None:
    checker = GrantChecker(keys.folder, region="eu-west", capacity=RESERVED)
    grant = checker.check(asked(keys.grant("us-east", "eu-west")))
    assert isinstance(grant, PlacementGrant)
    assert grant.issuer == "us-east"


@unit
def test_an_engine_whose_class_is_not_known_takes_only_what_may_be_on_any(keys: GrantKeys) -> None:
    restricted = asked(keys.grant("eu-west", "eu-west", classes=ONLY_RESERVED))
    free = asked(keys.grant("eu-west", "eu-west"))
    answers = {
        capacity: [
            GrantChecker(keys.folder, region="eu-west", capacity=capacity).refusal_of(one) for one in (restricted, free)
        ]
        for capacity in (RESERVED, SPOT, None)
    }
    assert answers == {RESERVED: [None, None], SPOT: ["other_capacity", None], None: ["other_capacity", None]}


@unit
def test_a_session_that_goes_on_needs_a_region_that_it_may_go_on_in(keys: GrantKeys) -> None:
    grant = keys.grant("eu-west", "eu-west", failover={})
    checker = GrantChecker(keys.folder, region="eu-west")
    assert checker.refusal_of(asked(grant)) is None
    assert checker.refusal_of(asked(grant, is_replay=True)) == "other_region"


@unit
def test_keys_come_and_go_while_it_runs(keys: GrantKeys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engines.server.grants._LOOK_EVERY_S", 0.0)
    checker = GrantChecker(keys.folder, region="eu-west")
    old = asked(keys.grant("us-east", "eu-west"))
    assert checker.refusal_of(old) is None
    keys.add("us-east")
    assert checker.refusal_of(old) == "forged"
    assert checker.refusal_of(asked(keys.grant("us-east", "eu-west"))) is None
    keys.remove("us-east")
    assert checker.refusal_of(asked(keys.grant("us-east", "eu-west"))) == "unknown_issuer"
    (keys.folder / "us-east.pem").write_text("no key")
    assert checker.issuers == {"eu-west"}
    assert checker.refusal_of(asked(keys.grant("us-east", "eu-west"))) == "unknown_issuer"


@unit
def test_while_a_key_is_changed_both_are_good(keys: GrantKeys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engines.server.grants._LOOK_EVERY_S", 0.0)
    checker = GrantChecker(keys.folder, region="eu-west")
    old = asked(keys.grant("us-east", "eu-west"))
    (keys.folder / "us-east.pem").rename(keys.folder / "us-east.old.pem")
    keys.add("us-east")
    assert [checker.refusal_of(one) for one in (old, asked(keys.grant("us-east", "eu-west")))] == [None, None]
    (keys.folder / "us-east.old.pem").unlink()
    assert checker.refusal_of(old) == "forged"
    assert checker.issuers == {"eu-west", "us-east"}


@unit
def test_a_file_that_is_not_there_takes_no_other_key_with_it(keys: GrantKeys) -> None:
    (keys.folder / "asia.pem").symlink_to(keys.folder / "nowhere")
    checker = GrantChecker(keys.folder, region="eu-west")
    assert checker.issuers == {"eu-west", "us-east"}


@unit
def test_without_its_folder_nothing_is_permitted(keys: GrantKeys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engines.server.grants._LOOK_EVERY_S", 0.0)
    checker = GrantChecker(keys.folder, region="eu-west")
    for region in ("eu-west", "us-east"):
        keys.remove(region)
    keys.folder.rmdir()
    assert checker.refusal_of(asked(keys.grant("eu-west", "eu-west"))) == "unknown_issuer"


@unit
def test_a_clock_that_is_wrong_beyond_the_leeway_refuses(keys: GrantKeys) -> None:
    now_s = time.time()
    grant = asked(keys.grant("eu-west", "eu-west"))
    for off_s, why in ((-29, None), (-32, "not_yet"), (89, None), (92, "expired")):
        checker = GrantChecker(keys.folder, region="eu-west", now_s=lambda off_s=off_s: now_s + off_s)  # type: ignore[misc]
        assert checker.refusal_of(grant) == why, off_s


@pytest.mark.integration
async def test_a_real_engine_takes_what_is_permitted_and_nothing_else(keys: GrantKeys, tmp_path: Path) -> None:
    options = ("--recogniser", "scripted", "--slots", "2", "--grant-keys", str(keys.folder))
    async with (
        running_engine(tmp_path, *options, "--region", "eu-west", "--capacity", "spot") as engine,
        linked(engine.address) as link,
    ):
        on_reserved = keys.grant("eu-west", "eu-west", classes=ONLY_RESERVED)
        for why, grant in [*((why, make(keys)) for why, make in WRONG), ("other_capacity", on_reserved)]:
            stream = Listener("s")
            stream.open(link, grant=grant)
            await stream.until_answered()
            assert stream.events == [Refused(1, RefusalReason.not_permitted, None, why)]
        stream = Listener("s")
        stream.open(link, grant=keys.grant("us-east", "eu-west"))
        await stream.until_answered()
        assert stream.is_granted
        stream.cancel()
        assert engine.is_alive
