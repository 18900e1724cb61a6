"""Tests of the counting in the background."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet.gui import survey as survey_module
from napari_unet.gui.marks import Marks
from napari_unet.gui.survey import SliceSurvey, Survey

if TYPE_CHECKING:
    from napari_unet.gui.session import Session


def counted(session: Session, qtbot: Any) -> Survey:
    survey = session.part(Survey)
    idle = lambda: not (survey._stale or survey._job.running or survey._soon.isActive())  # noqa: E731
    qtbot.waitUntil(idle, timeout=20_000)
    return survey


def test_a_count_from_before_a_change_is_not_believed(viewer, session, stack, qtbot):
    labels = session.create_annotation()
    viewer.dims.set_current_step(0, 1)
    survey = counted(session, qtbot)
    seen = []
    survey.seen.connect(seen.append)
    survey._start()
    labels.data_setitem((np.array([1]), np.array([5]), np.array([5])), 1)
    session.annotations_changed.emit()
    old = SliceSurvey(z=1, cells=99, highest=99, share=1.0, annotated=np.ones((40, 48), bool))
    survey._on_report(old)
    assert seen == []
    survey = counted(session, qtbot)
    assert survey.by_slice[1].cells == 1
    assert seen[-1].cells == 1


def test_a_slice_that_was_painted_and_left_at_once_is_counted(viewer, session, stack, qtbot):
    labels = session.create_annotation()
    viewer.dims.set_current_step(0, 1)
    counted(session, qtbot)
    labels.data_setitem((np.array([1]), np.array([5]), np.array([5])), 1)
    viewer.dims.set_current_step(0, 2)
    with qtbot.waitSignal(session.annotations_changed, timeout=20_000):
        pass
    assert counted(session, qtbot).by_slice[1].cells == 1


def test_counts_of_an_image_that_was_left_are_not_taken(viewer, session, stack, qtbot):
    session.create_annotation()
    survey = counted(session, qtbot)
    survey._start()
    session.choose([viewer.add_image(np.zeros((40, 48)), name="other")])
    survey._on_report(SliceSurvey(z=2, cells=9, highest=9, share=1.0, annotated=None))
    assert 2 not in survey.by_slice


def test_a_count_that_fails_is_tried_again_only_after_a_change(
    viewer, session, stack, qtbot, monkeypatch
):
    labels = session.create_annotation()
    viewer.dims.set_current_step(0, 0)
    survey = counted(session, qtbot)
    plain, runs = survey_module.survey_slices, []

    def fail(*what):
        runs.append(what)
        raise ValueError("no memory for this")
        yield

    monkeypatch.setattr(survey_module, "survey_slices", fail)
    with qtbot.waitSignal(survey._job.failed, timeout=20_000):
        labels.data_setitem((np.array([0]), np.array([5]), np.array([5])), 1)
    qtbot.wait(500)
    assert len(runs) == 1
    monkeypatch.setattr(survey_module, "survey_slices", plain)
    labels.data_setitem((np.array([0]), np.array([9]), np.array([9])), 2)
    with qtbot.waitSignal(session.annotations_changed, timeout=20_000):
        pass
    assert counted(session, qtbot).by_slice[0].cells == 2


def test_a_change_during_a_count_that_fails_is_counted(session, stack, qtbot, monkeypatch):
    session.create_annotation()
    survey = counted(session, qtbot)
    plain, go_on = survey_module.survey_slices, threading.Event()

    def fail(*what):
        go_on.wait(10)
        raise ValueError("no memory for this")
        yield

    monkeypatch.setattr(survey_module, "survey_slices", fail)
    survey._stale.add(0)
    survey._start()
    monkeypatch.setattr(survey_module, "survey_slices", plain)
    session.annotations_changed.emit()
    qtbot.wait(200)
    assert survey._job.running
    go_on.set()
    counted(session, qtbot)


def test_cells_and_what_counts_are_of_one_moment_while_a_person_paints(monkeypatch):
    marks = Marks(
        labels=np.zeros((1, 20, 20), int),
        region_outlines=(),
        ignored_outlines=(),
        complete=np.zeros(1, bool),
        task="instances",
    )
    plain = Marks.annotated

    def paint_meanwhile(here):
        mask = plain(here)
        marks.labels[0, 5, 5] = 1
        return mask

    monkeypatch.setattr(Marks, "annotated", paint_meanwhile)
    [before] = survey_module.survey_slices(marks, [0], lambda: False)
    [after] = survey_module.survey_slices(marks, [0], lambda: False)
    assert (before.cells, before.outside) == (0, 0)
    assert (after.cells, after.outside) == (1, 0)
