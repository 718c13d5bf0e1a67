"""The journal without its clockwork: what is on the disk after each batch, and after a crash in the middle of one."""

from __future__ import annotations

import copy
import shutil
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.metering.errors import JournalUnusable
from gateway.metering.journal_records import Began, Damage, frame
from gateway.metering.journal_store import JournalStore, StoreLimits
from tests.harness.usage import AT_MS, caller_plan, labels_of, piece_of

if TYPE_CHECKING:
    from gateway.metering.entries import UsageEvent
    from gateway.metering.journal_interface import JournaledTab

pytestmark = pytest.mark.unit

LIMITS = StoreLimits(retention_ms=3_600_000, max_bytes=2**20)
WINDOW_SLICES = 4


def store_in(path: Path, limits: StoreLimits = LIMITS) -> JournalStore:
    return JournalStore(path, limits, window_slices=WINDOW_SLICES)


def commit(store: JournalStore, now_ms: int = AT_MS) -> None:
    batch = store.take(now_ms)
    store.write(batch)
    for path in store.wrote(batch):
        path.unlink()


def fail(store: JournalStore) -> None:
    """A batch that never reached the disk."""
    store.failed(store.take(AT_MS))


def tabs_of(store: JournalStore) -> dict[str, JournaledTab]:
    return {tab.labels.session_id: tab for tab in store.tabs.by_number.values()}


def events_of(store: JournalStore, *, since_ms: int = 0) -> list[tuple[str, int, int]]:
    return [(event.labels.session_id, event.first, event.last) for event in store.recent_events(since_ms=since_ms)]


def use(store: JournalStore, session_id: str, first: int, below: int) -> None:
    for number in range(first, below):
        assert store.used(session_id, piece_of(number))


def test_a_file_of_events_that_cannot_be_read_keeps_no_other_from_being_read(tmp_path: Path) -> None:
    for session_id in ("first", "second"):
        store = store_in(tmp_path)
        store.opened(labels_of(session_id), caller_plan())
        use(store, session_id, 0, 4)
        store.recorded(session_id, 4)
        commit(store)
        store.close()
    broken, _ = sorted(tmp_path.glob("events-*"))
    broken.unlink()
    broken.mkdir()
    assert events_of(store_in(tmp_path)) == [("second", 0, 3)]


def test_what_was_committed_is_found_again_and_is_over(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    store.opened(labels_of("s"), caller_plan())
    use(store, "s", 0, 6)
    store.recorded("s", 4)
    commit(store)
    use(store, "s", 6, 7)
    again = store_in(tmp_path)
    (tab,) = tabs_of(again).values()
    assert tab.is_over
    assert (tab.recorded, tab.slices) == (4, [piece_of(4), piece_of(5)])
    assert tab.compute_before_us == sum(10_000 + number for number in range(4))
    assert events_of(again) == [("s", 0, 3)]
    assert again.recovery.damages == []


def test_sessions_without_unrecorded_usage_are_not_left_open(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    store.opened(labels_of("idle"), caller_plan())
    store.opened(labels_of("done"), caller_plan())
    use(store, "done", 0, 4)
    store.recorded("done", 4)
    commit(store)
    assert store_in(tmp_path).recovered_sessions == []


def test_usage_of_a_session_that_was_not_opened_is_refused(tmp_path: Path) -> None:
    assert not store_in(tmp_path).used("nobody", piece_of(0))


def test_events_are_there_before_and_after_they_are_written(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    store.opened(labels_of("s"), caller_plan())
    use(store, "s", 0, 8)
    store.recorded("s", 4)
    assert events_of(store) == [("s", 0, 3)]
    batch = store.take(AT_MS)
    assert events_of(store) == [("s", 0, 3)]
    store.write(batch)
    assert events_of(store) == [("s", 0, 3)]
    store.wrote(batch)
    store.recorded("s", 8)
    assert events_of(store) == [("s", 0, 3), ("s", 4, 7)]
    assert events_of(store, since_ms=AT_MS + 7_000) == [("s", 4, 7)]


def test_what_a_failed_batch_said_is_in_the_next_one(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    for session_id in ("a", "b"):
        store.opened(labels_of(session_id), caller_plan())
        use(store, session_id, 0, 5)
    commit(store)
    store.over("b")
    store.recorded("b", 5)
    use(store, "a", 5, 6)
    fail(store)
    use(store, "a", 6, 7)
    store.recorded("a", 4)
    fail(store)
    assert store.has_more
    commit(store)
    assert not store.has_more
    again = store_in(tmp_path)
    assert tabs_of(again) == {"a": replace(tabs_of(store)["a"], is_over=True)}
    assert events_of(again) == [("b", 0, 3), ("b", 4, 4), ("a", 0, 3)]


def test_events_that_were_written_before_their_batch_failed_are_not_written_twice(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    store.opened(labels_of("s"), caller_plan())
    use(store, "s", 0, 4)
    store.recorded("s", 4)
    batch = store.take(AT_MS)
    (tmp_path / "tabs-00000000.journal").touch()
    with pytest.raises(FileExistsError):
        store.write(batch)
    store.failed(batch)
    commit(store)
    assert events_of(store_in(tmp_path)) == [("s", 0, 3)]


def test_old_files_go_while_sessions_go_on_for_hours(tmp_path: Path) -> None:
    limits = StoreLimits(retention_ms=3_600_000, max_bytes=2**20, tabs_file_bytes=20_000)
    store = store_in(tmp_path, limits)
    sessions = [f"session-{number}" for number in range(100)]
    for session_id in sessions:
        store.opened(labels_of(session_id), caller_plan())
    most_bytes = 0
    for number in range(400):
        for session_id in sessions:
            store.used(session_id, piece_of(number))
            if (number + 1) % WINDOW_SLICES == 0:
                store.recorded(session_id, number + 1)
        commit(store, AT_MS + number * 1_000)
        most_bytes = max(most_bytes, sum(path.stat().st_size for path in tmp_path.glob("tabs-*")))
    assert most_bytes < 6 * 100 * 1_000
    use(store, sessions[0], 400, 401)
    commit(store)
    again = store_in(tmp_path, limits)
    assert set(tabs_of(again)) == {sessions[0]}
    assert tabs_of(again)[sessions[0]].slices == [piece_of(400)]


def test_a_tab_that_long_says_nothing_outlives_the_file_that_it_was_opened_in(tmp_path: Path) -> None:
    limits = replace(LIMITS, tabs_file_bytes=5_000)
    store = store_in(tmp_path, limits)
    store.opened(labels_of("quiet"), caller_plan())
    use(store, "quiet", 0, 2)
    store.opened(labels_of("busy"), caller_plan())
    for number in range(0, 1_000, 10):
        use(store, "busy", number, number + 10)
        store.recorded("busy", number + 10)
        commit(store)
    assert not (tmp_path / "tabs-00000000.journal").exists()
    assert tabs_of(store_in(tmp_path, limits))["quiet"].slices == [piece_of(0), piece_of(1)]


def test_events_are_kept_for_the_retention_time(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    store.opened(labels_of("s"), caller_plan())
    minute_ms = 60_000
    for minute in range(150):
        use(store, "s", minute, minute + 1)
        store.recorded("s", minute + 1)
        commit(store, AT_MS + minute * minute_ms)
    kept = [first for _, first, _ in events_of(store)]
    assert kept[-1] == 149
    assert 60 <= len(kept) <= 66
    assert store.events_dropped == 0


def test_beyond_the_most_bytes_the_oldest_events_go_first(tmp_path: Path) -> None:
    store = store_in(tmp_path, StoreLimits(retention_ms=3_600_000, max_bytes=20_000))
    store.opened(labels_of("s"), caller_plan())
    for number in range(1_000):
        use(store, "s", number, number + 1)
        store.recorded("s", number + 1)
        if number % 5 == 4:
            commit(store)
    kept = [first for _, first, _ in events_of(store)]
    assert kept == list(range(1_000 - len(kept), 1_000))
    kept_bytes = sum(path.stat().st_size for path in tmp_path.glob("events-*"))
    assert 15_000 < kept_bytes < 22_000
    assert store.events_dropped == pytest.approx(1_000 - len(kept), rel=0.3)


def test_a_journal_in_another_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tabs-00000000.journal").write_bytes(frame(Began(99, AT_MS)))
    with pytest.raises(JournalUnusable, match="format 99"):
        store_in(tmp_path)


def test_a_damaged_record_is_told_and_the_rest_is_used(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    for session_id in ("a", "b"):
        store.opened(labels_of(session_id), caller_plan())
        use(store, session_id, 0, 3)
    commit(store)
    path = tmp_path / "tabs-00000000.journal"
    data = bytearray(path.read_bytes())
    hit = data.index(b"acme") - 3
    data[hit] ^= 0xFF
    path.write_bytes(data)
    again = store_in(tmp_path)
    ((name, damage),) = again.recovery.damages
    assert (name, damage.is_tail) == (path.name, False)
    assert tabs_of(again)["b"] == replace(tabs_of(store)["b"], is_over=True)


def test_a_torn_end_is_cut_off_once(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    store.opened(labels_of("s"), caller_plan())
    use(store, "s", 0, 2)
    commit(store)
    path = tmp_path / "tabs-00000000.journal"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    again = store_in(tmp_path)
    ((_, damage),) = again.recovery.damages
    assert damage == Damage(damage.offset_bytes, damage.length_bytes, is_tail=True)
    assert tabs_of(again)["s"].slices == [piece_of(0)]
    assert path.read_bytes() == whole[: damage.offset_bytes]
    assert store_in(tmp_path).recovery.damages == []


# Crashes


@dataclass
class Life:
    """A store under random operations, with what it must be after each, and the files as each batch left them."""

    path: Path
    store: JournalStore = field(init=False)
    states: list[dict[str, JournaledTab]] = field(default_factory=list)
    safe: int = 0
    safe_events: list[UsageEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        self.store = JournalStore(
            self.path, StoreLimits(3_600_000, 2**20, tabs_file_bytes=3_000), window_slices=WINDOW_SLICES
        )
        self.states = [self.state()]
        self.safe = 0

    def state(self) -> dict[str, JournaledTab]:
        """As it would be after a crash: what is left is over, and what has nothing left is gone."""
        return {
            session_id: replace(copy.copy(tab), slices=list(tab.slices), is_over=True)
            for session_id, tab in tabs_of(self.store).items()
            if tab.slices
        }

    def do(self, kind: str, session_id: str, amount: int) -> None:
        tab = self.store.tab(session_id)
        match kind:
            case "open":
                self.store.opened(labels_of(session_id), caller_plan())
            case "use" if tab is not None and not tab.is_over:
                self.store.used(session_id, piece_of(tab.following))
            case "over":
                self.store.over(session_id)
            case "record" if tab is not None:
                self.store.recorded(session_id, min(tab.following, tab.recorded + amount))
            case _:
                return
        self.states.append(self.state())

    def commit(self) -> None:
        commit(self.store)
        self.safe = len(self.states) - 1
        self.safe_events = list(self.store.recent_events(since_ms=0))

    def crash_while_committing(self, cut: int) -> None:
        """`cut` of what the batch would write is on the disk, and no file that it made useless is gone."""
        before = {path.name: path.stat().st_size for path in self.path.iterdir()}
        batch = self.store.take(AT_MS)
        self.store.write(batch)
        for kind in ("tabs", "events"):
            for path in sorted(self.path.glob(f"{kind}-*")):
                grown = path.stat().st_size - before.get(path.name, 0)
                if grown and (kind == "tabs" or cut < len(batch.events)):
                    kept = min(max(0, cut - len(batch.events)) if kind == "tabs" else cut, grown)
                    with path.open("r+b") as file:
                        file.truncate(before.get(path.name, 0) + kept)
        self.store.close()


STEPS = st.tuples(
    st.sampled_from(["open", "use", "use", "use", "use", "record", "over", "commit", "fail"]),
    st.sampled_from(["a", "b", "c"]),
    st.integers(1, 9),
)


@settings(max_examples=150, deadline=None)
@given(lives=st.lists(st.tuples(st.lists(STEPS, max_size=60), st.integers(0, 6_000)), min_size=1, max_size=3))
def test_after_a_crash_anywhere_all_that_was_committed_is_there_and_nothing_that_was_not_said(
    lives: list[tuple[list[tuple[str, str, int]], int]],
) -> None:
    path = Path(tempfile.mkdtemp())
    try:
        life = Life(path)
        made: list[UsageEvent] = []
        for steps, cut in lives:
            for kind, session_id, amount in steps:
                if kind == "commit":
                    life.commit()
                elif kind == "fail":
                    fail(life.store)
                else:
                    life.do(kind, session_id, amount)
            made += life.store.recent_events(since_ms=0)
            life.crash_while_committing(cut)
            possible, safe = life.states, life.safe
            life.begin()
            for session_id in ("a", "b", "c"):  # each by itself: after a failure whole tabs are written, one by one
                assert life.states[0].get(session_id) in [state.get(session_id) for state in possible[safe:]]
            found = list(life.store.recent_events(since_ms=0))
            assert all(event in made for event in found)
            assert all(event in found for event in life.safe_events)
            assert all(damage.is_tail for _, damage in life.store.recovery.damages)
    finally:
        shutil.rmtree(path)


def test_a_failing_disk_does_not_fill_the_memory_with_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.metering.journal_store.MAX_WAITING_EVENTS", 3)
    store = store_in(tmp_path)
    store.opened(labels_of("s"), caller_plan())
    for number in range(5):
        use(store, "s", number, number + 1)
        store.recorded("s", number + 1)
        fail(store)
    assert [first for _, first, _ in events_of(store)] == [2, 3, 4]
    assert store.events_dropped == 2
