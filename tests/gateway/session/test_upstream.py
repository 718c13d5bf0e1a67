"""The engine's side of a session: in order, inside the window, again after a loss."""

from __future__ import annotations

import pytest

from engines.interface import Granted
from gateway.session.effects import CutEngine, SendAudio
from gateway.session.replay_buffer import ReplayBuffer
from gateway.session.upstream import Cut, Link, Upstream

pytestmark = pytest.mark.unit


def make(window_samples: int = 4, least_samples: int = 1) -> tuple[ReplayBuffer, Upstream]:
    buffer = ReplayBuffer()
    upstream = Upstream(buffer, least_samples=least_samples)
    upstream.ask(1)
    upstream.granted(Granted(1, "m", "v", window_samples))
    return buffer, upstream


def test_nothing_is_sent_before_the_grant() -> None:
    buffer = ReplayBuffer()
    upstream = Upstream(buffer, least_samples=1)
    buffer.append(b"aabb")
    upstream.ask(1)
    assert upstream.epoch == 1
    assert upstream.link is Link.asked
    assert upstream.pump() == []


def test_cuts_stand_between_the_audio_before_and_after_them() -> None:
    buffer, upstream = make()
    buffer.append(b"aabbcc")
    upstream.add_cut(Cut(1, 0, ["x"]))
    upstream.add_cut(Cut(2, 0, ["y"]))
    assert upstream.pump() == [
        SendAudio(b"aa"),
        CutEngine(1, is_last=False),
        SendAudio(b"bb"),
        CutEngine(2, is_last=False),
        SendAudio(b"cc"),
    ]


def test_two_cuts_at_one_place_are_one() -> None:
    _, upstream = make()
    upstream.add_cut(Cut(3, 0, ["x"]))
    upstream.add_cut(Cut(3, 0, ["y"], is_last=True))
    assert [(cut.ids, cut.is_last) for cut in upstream.cuts] == [(["x", "y"], True)]


def test_only_the_window_runs_ahead() -> None:
    buffer, upstream = make(window_samples=2)
    buffer.append(b"aabbccdd")
    assert upstream.pump() == [SendAudio(b"aabb")]
    upstream.consumed_sample = 1
    assert upstream.pump() == [SendAudio(b"cc")]


def test_tiny_pieces_go_together_and_before_a_cut_as_they_are() -> None:
    buffer, upstream = make(least_samples=2)
    buffer.append(b"aa")
    assert upstream.pump() == []
    buffer.append(b"bb")
    assert upstream.pump() == [SendAudio(b"aabb")]
    buffer.append(b"cc")
    upstream.add_cut(Cut(3, 0, []))
    assert upstream.pump() == [SendAudio(b"cc"), CutEngine(3, is_last=False)]


def test_after_a_loss_audio_and_cuts_are_sent_again() -> None:
    buffer, upstream = make()
    buffer.append(b"aabb")
    upstream.add_cut(Cut(2, 0, []))
    before = upstream.pump()
    upstream.lost()
    assert upstream.pump() == []
    upstream.ask(2)
    assert upstream.epoch == 2
    upstream.granted(Granted(2, "m", "v", 4))
    assert upstream.pump() == before


def test_a_commit_confirms_the_cuts_it_covers() -> None:
    _, upstream = make()
    for at_sample in (1, 2, 3):
        upstream.add_cut(Cut(at_sample, 0, [str(at_sample)]))
    assert [cut.ids for cut in upstream.confirmed_cuts(2)] == [["1"], ["2"]]
    assert [cut.ids for cut in upstream.cuts] == [["3"]]


def test_an_engine_owes_an_answer_for_much_audio_or_a_cut() -> None:
    buffer, upstream = make()
    buffer.append(b"aabb")
    upstream.pump()
    assert upstream.owes_an_answer(stall_samples=1, full_samples=9)
    assert not upstream.owes_an_answer(stall_samples=2, full_samples=9)
    upstream.consumed(2)
    assert not upstream.owes_an_answer(stall_samples=2, full_samples=3)
    assert upstream.owes_an_answer(stall_samples=2, full_samples=2)
    upstream.add_cut(Cut(2, 0, []))
    upstream.pump()
    assert upstream.owes_an_answer(stall_samples=2, full_samples=9)


def test_a_fork_is_sent_the_same_with_its_own_cuts() -> None:
    buffer, upstream = make(window_samples=9)
    buffer.append(b"aabb")
    upstream.add_cut(Cut(2, 0, ["a"]))
    assert upstream.pump() == [SendAudio(b"aabb"), CutEngine(2, is_last=False)]
    copy = buffer.fork()
    fork = upstream.fork(copy)
    fork.ask(2)
    fork.granted(Granted(2, "m", "v", 9))
    assert fork.pump() == [SendAudio(b"aabb"), CutEngine(2, is_last=False)]
    fork.cuts[0].ids.append("b")
    assert upstream.cuts[0].ids == ["a"]


def test_what_adopts_a_fork_goes_on_with_its_stream_and_forgets_confirmed_cuts() -> None:
    buffer, upstream = make(window_samples=9)
    buffer.append(b"aabbcc")
    upstream.add_cut(Cut(1, 0, ["a"]))
    upstream.add_cut(Cut(3, 0, ["b"]))
    copy = buffer.fork()
    fork = upstream.fork(copy)
    fork.ask(2)
    fork.granted(Granted(2, "m", "v", 2))
    fork.pump()
    copy.release(1)
    buffer.adopt(copy)
    upstream.adopt(fork)
    assert (upstream.epoch, upstream.link, [cut.ids for cut in upstream.cuts]) == (2, Link.granted, [["b"]])
    upstream.consumed(2)
    assert upstream.pump() == [SendAudio(b"cc"), CutEngine(3, is_last=False)]
