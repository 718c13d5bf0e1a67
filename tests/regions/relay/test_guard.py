"""A relay passes on what the peer's own region signed for this one, and never more than this region permits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from engines.interface import OpenStream, StreamOptions
from engines.server.grants import GrantChecker
from policies.routing_facts import ALL_CLASSES, CapacityClass
from regions.relay.guard import Admitted, RelayGuard
from tests.harness.grants import GrantKeys

if TYPE_CHECKING:
    from pathlib import Path

    from policies.residency.grant import PlacementGrant

pytestmark = pytest.mark.unit

RESERVED, SPOT = frozenset({CapacityClass.reserved}), frozenset({CapacityClass.spot})


class Policy:
    """What this region permits; change it as you like."""

    def __init__(self) -> None:
        self.permits = ALL_CLASSES
        self.asked: list[tuple[str, bool]] = []

    def __call__(self, grant: PlacementGrant, goes_on: bool) -> frozenset[CapacityClass]:
        self.asked.append((grant.profile, goes_on))
        return self.permits


class Post:
    def __init__(self, folder: Path) -> None:
        self.keys = GrantKeys(folder, "here", "there", "elsewhere")
        self.policy = Policy()
        self.guard = RelayGuard(GrantChecker(folder, region="there", is_relay=True), self.policy)

    def asks(self, grant: bytes, *, peer: str = "here", **changes: object) -> Admitted | str:
        opened = OpenStream(session_id="s", tenant="t", epoch=1, start_sample=0, options=StreamOptions(), grant=grant)
        return self.guard.admit(msgspec.structs.replace(opened, **changes), peer=peer)


@pytest.fixture
def post(tmp_path: Path) -> Post:
    return Post(tmp_path / "keys")


def test_what_the_peer_may_have_here_is_passed_on_with_its_grant_unchanged(post: Post) -> None:
    grant = post.keys.grant("here", "there", profile="eu")
    admitted = post.asks(grant, is_replay=True)
    assert isinstance(admitted, Admitted)
    assert (admitted.opened.grant, admitted.opened.classes) == (grant, None)
    assert post.policy.asked == [("eu", True)]


def test_a_grant_of_another_region_than_the_caller_proved_is_refused(post: Post) -> None:
    assert post.asks(post.keys.grant("elsewhere", "there")) == "other_issuer"
    assert post.asks(post.keys.grant("here", "there"), peer="elsewhere") == "other_issuer"


@pytest.mark.parametrize(
    ("why", "regions", "changes"),
    [("other_region", ["here"], {}), ("other_session", ["there"], {"session_id": "x"})],
)
def test_a_grant_for_something_else_is_refused(
    post: Post, why: str, regions: list[str], changes: dict[str, object]
) -> None:
    assert post.asks(post.keys.grant("here", *regions, **changes)) == why  # type: ignore[arg-type]
    assert post.asks(b"") == "missing"


def test_what_this_region_does_not_permit_is_refused_whatever_the_peer_says(post: Post) -> None:
    post.policy.permits = frozenset()
    assert post.asks(post.keys.grant("here", "there")) == "own_policy"


def test_machines_must_be_permitted_by_the_grant_by_this_region_and_by_who_asks(post: Post) -> None:
    grant = post.keys.grant("here", "there", classes={"there": RESERVED})
    admitted = post.asks(grant)
    assert isinstance(admitted, Admitted)
    assert admitted.opened.classes == RESERVED, "though the gateway asked for any"
    assert post.asks(grant, classes=SPOT) == "other_capacity"
    post.policy.permits = SPOT
    assert post.asks(grant) == "other_capacity"
    anywhere = post.asks(post.keys.grant("here", "there"))
    assert isinstance(anywhere, Admitted)
    assert anywhere.opened.classes == SPOT


def test_a_stream_may_stay_while_this_region_permits_all_that_it_was_opened_by(post: Post) -> None:
    admitted = post.asks(post.keys.grant("here", "there"))
    assert isinstance(admitted, Admitted)
    assert post.guard.may_stay(admitted)
    for permits in (RESERVED, frozenset()):
        post.policy.permits = permits
        assert not post.guard.may_stay(admitted)
