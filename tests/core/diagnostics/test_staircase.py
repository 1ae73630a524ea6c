"""The staircase of a training with gates: its figures by hand, its picture, and who has none."""

from dataclasses import replace

import numpy as np
import pytest

from latentmap.diagnostics.staircase import save_staircase, staircase_of
from latentmap.diagnostics.trace_section import trace_section
from latentmap.diagnostics.traces import Epochs, Paths, Steps, Trace
from latentmap.errors import ModelError


def trace_of(**settings):
    two, flat = np.ones((4, 2), np.float32), np.ones(4, np.float32)
    gates = np.array([[0.95, 0.9], [0.9, 0.4], [0.9, 0.6], [0.9, 0.1]], np.float32)
    mse = np.array([0.5, 0.2, 0.1, 0.3], np.float32)
    multiplier = np.array([1, 2, 3, 4], np.float32)
    number = np.arange(4)
    return Trace(
        Steps(number, flat, mse, flat, two, two, two, gates, multiplier),
        Epochs(number, two, two, two, two),
        Paths(number, np.ones((4, 0, 2), np.float32), np.ones((4, 0, 2), np.float32)),
        (),
        record={"settings": {"config": {"image_shape": [1, 2, 5]}, "tau_mse": None, **settings}},
    )


def test_each_number_of_open_gates_has_its_row():
    found = staircase_of(trace_of(tau=3.0))
    assert found.open.tolist() == [2, 1, 2, 1]
    np.testing.assert_allclose(found.error, [5, 2, 1, 3], rtol=1e-6)
    assert found.tau == 3.0
    rows = [list(row.cells) for row in found.table().rows]
    assert rows[0] == [2, 0, 0.5, pytest.approx(3.0), pytest.approx(2.0)]
    assert rows[1] == [1, 1, 0.5, pytest.approx(2.5), pytest.approx(3.0)]


def test_tau_per_pixel_is_told_of_an_image():
    assert staircase_of(trace_of(tau=None, tau_mse=0.25)).tau == pytest.approx(2.5)


def test_it_is_drawn_and_stands_in_a_report(tmp_path):
    trace = trace_of(tau=3.0)
    save_staircase(staircase_of(trace), tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 1000
    titles = [block.title for block in trace_section(trace, None, name="a").blocks]
    for title in ("Gates", "Open gates", "Error of an image, tau 3", "Multiplier of the error"):
        assert title in titles


def test_a_trace_without_gates_has_none():
    trace = trace_of(tau=3.0)
    plain = replace(trace, steps=replace(trace.steps, gates=None, multiplier=None))
    with pytest.raises(ModelError, match=r"a\.trace is of a training without gates"):
        staircase_of(plain, name="a.trace")
    titles = [block.title for block in trace_section(plain, None, name="a").blocks]
    assert "Gates" not in titles


@pytest.mark.parametrize("settings", [{}, {"tau": "x"}, {"tau": None}, {"tau": 1, "config": 3}])
def test_a_trace_that_does_not_say_its_tau_is_refused(settings):
    with pytest.raises(ModelError, match="does not say at what error they were held"):
        staircase_of(trace_of(**settings))
