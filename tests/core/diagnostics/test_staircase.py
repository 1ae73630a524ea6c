"""The staircase of a training with gates: its figures by hand, its picture, and who has none."""

from dataclasses import replace

import numpy as np
import pytest

from latentmap.diagnostics.staircase import staircase_in, staircase_plot
from latentmap.diagnostics.trace_section import trace_section
from latentmap.diagnostics.traces import Epochs, Paths, Steps, Trace
from latentmap.errors import ModelError
from latentmap.report import save_figure


def trace_of(**settings):
    def ones(*shape):
        return np.ones(shape, np.float32)

    gates = np.array([[0.95, 0.9], [0.9, 0.4], [0.9, 0.6], [0.9, 0.1]], np.float32)
    mse = np.array([0.5, 0.2, 0.1, 0.3], np.float32)
    multiplier = np.array([1, 2, 3, 4], np.float32)
    wide = [ones(4, 2) for _ in range(7)]
    return Trace(
        Steps(np.arange(4), ones(4), mse, ones(4), *wide[:3], gates, multiplier),
        Epochs(np.arange(4), *wide[3:]),
        Paths(np.arange(4), ones(4, 0, 2), ones(4, 0, 2)),
        (),
        record={"settings": {"config": {"image_shape": [1, 2, 5]}, "tau_mse": None, **settings}},
    )


def test_each_number_of_open_gates_has_its_row():
    found = staircase_in(trace_of(tau=3.0))
    assert found.open.tolist() == [2, 1, 2, 1]
    np.testing.assert_allclose(found.error, [5, 2, 1, 3], rtol=1e-6)
    assert found.tau == 3.0
    rows = [list(row.cells) for row in found.table().rows]
    assert rows[0] == [2, 0, 0.5, pytest.approx(3.0), pytest.approx(2.0)]
    assert rows[1] == [1, 1, 0.5, pytest.approx(2.5), pytest.approx(3.0)]


def test_tau_per_pixel_is_told_of_an_image():
    assert staircase_in(trace_of(tau=None, tau_mse=0.25)).tau == pytest.approx(2.5)


def test_it_is_drawn_and_stands_in_a_report(tmp_path):
    trace = trace_of(tau=3.0)
    save_figure(staircase_plot(staircase_in(trace)), tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 1000
    titles = [block.title for block in trace_section(trace, None, name="a").blocks]
    for title in ("Gates", "Open gates", "Error of an image, tau 3", "Multiplier of the error"):
        assert title in titles


def test_a_trace_without_gates_has_none():
    trace = trace_of(tau=3.0)
    plain = replace(trace, steps=replace(trace.steps, gates=None, multiplier=None))
    assert staircase_in(plain) is None
    titles = [block.title for block in trace_section(plain, None, name="a").blocks]
    assert "Gates" not in titles


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"tau": "x"},
        {"tau": "inf"},
        {"tau": -1.0},
        {"tau": None},
        {"tau": None, "tau_mse": "9" * 400},
        {"tau": 1, "config": 3},
        {"tau": 1, "config": {"image_shape": [1, 10**400]}},
        {"tau": 1, "config": {"image_shape": [1, 2**20, 2**20]}},
    ],
)
def test_a_trace_that_does_not_say_its_tau_is_refused(tmp_path, settings):
    trace_of(**settings).save(tmp_path / "a.trace")
    with pytest.raises(ModelError, match="does not say at what error its gates were held"):
        Trace.load(tmp_path / "a.trace")


def test_gates_without_their_multiplier_are_refused(tmp_path):
    trace = trace_of(tau=3.0)
    trace.save(tmp_path / "a.trace")
    assert staircase_in(Trace.load(tmp_path / "a.trace")).tau == 3.0
    half = replace(trace, steps=replace(trace.steps, multiplier=None))
    half.save(tmp_path / "a.trace")
    with pytest.raises(ModelError, match="what weighed the error is missing"):
        Trace.load(tmp_path / "a.trace")
