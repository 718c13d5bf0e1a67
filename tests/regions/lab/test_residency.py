"""A lab's bundles come into force as a gateway reads them, and what spoils one is seen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from policies.residency.bundles.bundle import BundleRefused, read_bundle
from policies.residency.bundles.manifest import files_digest
from regions.lab.residency import LabResidency
from regions.lab.world_spec import ResidencySpec, WorldSpec

pytestmark = pytest.mark.unit

WORLD = WorldSpec(regions=2, profiles={"inner": ("west",)}, residency=ResidencySpec(expires_in_s=60))


def read(residency: LabResidency, region: str) -> dict[str, bytes]:
    place = residency.place(region)
    return {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}


def test_each_region_has_a_signed_bundle_of_its_own_that_is_replaced_whole(tmp_path: Path) -> None:
    residency = LabResidency(WORLD, tmp_path)
    first = read(residency, "west")
    assert read_bundle(first).version == "1"
    assert read(residency, "central") == first
    residency.put(residency.policy.next(now_s=residency.policy.issued_at_s + 5))
    assert read_bundle(read(residency, "west")).version == "2"
    assert [each.policy.version for each in residency.fence.history] == [1, 2]


@pytest.mark.parametrize("how", ["torn", "changed", "foreign", "unsigned", "older", "gone"])
def test_what_spoils_a_bundle_touches_one_region_and_is_mended(how: str, tmp_path: Path) -> None:
    residency = LabResidency(WORLD, tmp_path)
    before = read(residency, "west")
    residency.put(residency.policy.next(now_s=residency.policy.issued_at_s + 5))
    sound = read(residency, "central")
    residency.spoil("west", how)
    spoilt = read(residency, "west")
    assert spoilt != sound
    match how:
        case "torn":
            with pytest.raises(BundleRefused):
                read_bundle(spoilt)
        case "changed":
            assert files_digest(spoilt) != files_digest(sound)
        case "foreign" | "unsigned":
            assert files_digest(spoilt) == files_digest(sound)
        case "older":
            assert spoilt == before
        case _:
            assert spoilt == {}
    assert read(residency, "central") == sound
    residency.mend("west")
    assert read(residency, "west") == sound


def test_processes_are_told_of_bundles_keys_and_where_to_write(tmp_path: Path) -> None:
    residency = LabResidency(WORLD, tmp_path)
    settings = residency.gateway_settings("west", tmp_path / "gateway-1")
    assert settings["residency"]["required_signatures"] == len(settings["residency"]["approvers"]) == 2
    assert Path(settings["residency"]["grants"]["key_file"]).is_file()
    assert residency.engine_arguments()[0] == "--grant-keys"
    assert residency.engine_script("west", "spot-1") == [f"heard_file={residency.heard_file('west', 'spot-1')}"]
    line = json.dumps({"at_s": 1.0, "session": "s", "from_sample": 0, "to_sample": 1})
    residency.heard_file("west", "spot-1").write_text(line + "\n")
    assert [(heard.session, heard.region) for heard in residency.heard()] == [("s", "west")]


def test_decision_logs_of_all_gateways_are_read(tmp_path: Path) -> None:
    (tmp_path / "residency").mkdir()
    residency = LabResidency(WORLD, tmp_path / "residency")
    log = tmp_path / "west" / "gateway-1" / "decisions" / "west.0.000001.jsonl"
    log.parent.mkdir(parents=True)
    log.write_text(json.dumps({"ts": 1_000, "session": "s", "profile": "inner", "chosen": "west"}) + "\n")
    assert [(each.profile, each.region) for each in residency.chosen()] == [("inner", "west")]
