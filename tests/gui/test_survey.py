"""Tests of the counting in the background."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

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
