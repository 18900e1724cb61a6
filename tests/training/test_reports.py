"""The clock of a training, in steps and in minutes."""

from __future__ import annotations

import time

import pytest

from napari_unet.training.reports import Clock, soon
from tests.training.pictures import small


def test_steps_are_counted_and_the_time_left_follows_from_them():
    clock = Clock(small(steps=10), started=time.monotonic() - 6)
    assert (clock.progress, clock.seconds_left) == (0, None)
    clock.step = 4
    assert clock.progress == 0.4
    assert clock.seconds_left == pytest.approx(9, abs=0.5)
    clock.step = 11
    assert clock.progress == 1


def test_minutes_go_by_without_a_step():
    clock = Clock(small(steps=None, minutes=0.2), started=time.monotonic() - 3)
    assert clock.progress == pytest.approx(0.25, abs=0.05)
    assert clock.seconds_left == pytest.approx(9, abs=0.5)
    clock.started -= 60
    assert (clock.progress, clock.seconds_left) == (1, 0)


def test_a_pause_takes_no_time():
    clock = Clock(small())
    began = clock.started
    with clock.paused():
        time.sleep(0.05)
    assert clock.started - began >= 0.05


def test_a_report_says_how_late_it_is():
    clock = Clock(small(steps=10), step=5)
    report = clock.report(loss=0.5)
    assert (report.phase, report.step, report.progress, report.loss) == ("training", 5, 0.5, 0.5)
    assert clock.report(phase="finished", progress=1.0).progress == 1


def test_networks_share_what_steps_are_left():
    clock = Clock(small(steps=10, networks=3))
    taken = []
    for network in (1, 2, 3):
        clock.network = network
        lap = clock.lap()
        assert (lap.step, lap.progress) == (0, 0)
        while not lap.over:
            clock.step += 1
        taken.append(lap.step)
        assert lap.progress == 1
    assert taken == [4, 3, 3]


def test_networks_share_what_time_is_left():
    clock = Clock(small(steps=None, minutes=1.0, networks=3))
    assert clock.lap().minutes == pytest.approx(1 / 3)
    clock.started -= 24
    clock.network = 2
    lap = clock.lap()
    assert lap.minutes == pytest.approx(0.3, abs=0.01)
    clock.started -= 9
    assert lap.progress == pytest.approx(0.5, abs=0.02)
    clock.started -= 10
    assert lap.over
    assert not clock.over


def test_a_lap_without_an_end_is_never_over():
    clock = Clock(small(steps=None, until_stopped=True, networks=3))
    clock.started -= 100
    lap = clock.lap()
    assert (lap.progress, lap.over) == (None, False)
    assert lap.used == pytest.approx(100, abs=1)


def test_soon_ends_after_seconds_and_not_at_once(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("napari_unet.training.reports.time.monotonic", lambda: now[0])
    should_stop = soon()
    assert not should_stop()
    now[0] += 30
    assert should_stop()
