"""The view of trainings as a figure: what is drawn and told is the library's."""

import json

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from latentmap.diagnostics.trace_figures import motion_of
from latentmap.diagnostics.trace_moments import moment_of
from latentmap.errors import ExplorerError
from latentmap.explorer.drawing import figure_of_state, figure_of_trainings, is_chart
from latentmap.explorer.trainings import OnlyTrainings, Training
from latentmap.report.colours import BLUE, VERMILION
from latentmap.report.plots import styled
from tests.core.diagnostics.traces_by_hand import trace_by_hand

GATED, NOISY = trace_by_hand(gates=True), trace_by_hand(noise=True, images=0)
TRAININGS = OnlyTrainings((Training("gated.trace", GATED), Training("$noisy.trace", NOISY)))


def axes_of(drawn, width=17.0):
    """The axes of a figure when it is drawn."""
    with styled():
        figure = Figure(figsize=(width / 2.54, width / 2.54), layout="constrained")
        drawn.figure.draw(figure)
    return figure, figure.axes


@pytest.mark.parametrize("epoch", [0, 2, 4])
def test_a_moment_is_drawn_and_told_as_the_library_has_it(epoch):
    drawn = figure_of_trainings(TRAININGS, f"view=traces&epoch={epoch}&drawn=kl")
    moment = moment_of(GATED, epoch)
    assert json.loads(json.dumps(drawn.told)) == {
        "training": "gated.trace",
        "drawn": "kl",
        "moment": json.loads(json.dumps(moment.to_json())),
    }
    figure, (course, plane, gains) = axes_of(drawn)
    assert f"epoch {epoch} of 4, {10 * epoch} steps" in figure.get_suptitle()
    said = f"batch of step {moment.batch['step']}: loss" if epoch else "active"
    assert said in figure.get_suptitle()
    *lines, mark = [line for line in course.lines if len(line.get_xdata())]
    assert mark.get_xdata() == [10 * epoch] * 2
    found = sorted(line.get_ydata().tolist() for line in lines)
    np.testing.assert_allclose(found, sorted(GATED.epochs.kl.T.tolist()), rtol=1e-6)
    # The largest first, each in the colour of what it is.
    order = np.argsort(-moment.gain)
    assert [one.get_text() for one in gains.get_xticklabels()] == list(map(str, order))
    bars = sorted(gains.patches, key=lambda bar: bar.get_x())
    np.testing.assert_allclose([bar.get_height() for bar in bars], moment.gain[order])
    colours = [BLUE if moment.active[one] else VERMILION for one in order]
    assert [to_hex(bar.get_facecolor()) for bar in bars] == colours
    motion = motion_of(GATED)
    at = plane.collections[-1].get_offsets()
    np.testing.assert_allclose(at, motion.places[epoch], rtol=1e-4)
    assert plane.get_xlabel() == f"variable {motion.variables[0]}"


def test_what_is_not_said_is_the_last_epoch_of_the_first_training():
    drawn = figure_of_trainings(TRAININGS, "")
    assert drawn.told["moment"] == moment_of(GATED, 4).to_json()
    assert (drawn.told["drawn"], drawn.what) == ("gain", "epoch 4 of gated.trace")


def test_a_training_without_followed_images_has_no_plane():
    drawn = figure_of_trainings(TRAININGS, "trace=1&epoch=3&drawn=worth")
    figure, axes = axes_of(drawn)
    assert len(axes) == 2
    noise = moment_of(NOISY, 3).worth["noise"]
    assert (
        "variable 1: phase" in figure.get_suptitle()
        and f"noise {noise:.4g}" in figure.get_suptitle()
    )
    assert drawn.figure.picture().width == int(17 / 2.54 * 150)


@pytest.mark.parametrize("width", [8.5, 17.0])
def test_panels_do_not_lie_on_each_other(width):
    _, axes = axes_of(figure_of_trainings(TRAININGS, "drawn=worth&trace=1"), width)
    boxes = [axis.get_position() for axis in axes]
    assert not boxes[0].overlaps(boxes[1])
    assert (boxes[0].x0 == boxes[1].x0) == (width < 10)


def test_of_many_variables_the_first_have_bars():
    wide = OnlyTrainings((Training("w.trace", trace_by_hand(d=200, images=0)),))
    _, (_, gains) = axes_of(figure_of_trainings(wide, ""))
    assert len(gains.patches) == 64 and "the first 64" in gains.get_xlabel()
    assert [one.get_text() for one in gains.get_xticklabels()] == []


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("trace=2", "trace must be a whole number from 0 to 1"),
        ("trace=-1", "trace must be a whole number from 0 to 1"),
        ("epoch=5", "epoch must be a whole number from 0 to 4"),
        ("epoch=x", "epoch must be a whole number from 0 to 4"),
        ("drawn=noise", "what is drawn is one of gain, kl, .* and not 'noise'"),
        ("view=line", "without a MODEL there is the view traces alone, not 'line'"),
    ],
)
def test_what_is_not_there_is_refused(state, said):
    with pytest.raises(ExplorerError, match=said):
        figure_of_trainings(TRAININGS, state)


def test_models_without_trainings_have_none(explored):
    assert is_chart("view=traces") and not is_chart("view=line")
    with pytest.raises(ExplorerError, match="no training was recorded here"):
        figure_of_state(explored, "view=traces")
