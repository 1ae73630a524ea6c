"""Trainings beside the spaces, or alone: their moments and curves are those of the library."""

import json

import numpy as np
import pytest

from latentmap.diagnostics.staircase import staircase_in
from latentmap.diagnostics.trace_figures import motion_of
from latentmap.diagnostics.trace_moments import moment_of
from latentmap.errors import ExplorerError, ModelError
from latentmap.explorer import Session
from latentmap.explorer.trainings import OnlyTrainings, Training, read_trainings
from tests.core.diagnostics.traces_by_hand import trace_by_hand


@pytest.fixture
def trainings(tmp_path):
    trace_by_hand(gates=True).save(tmp_path / "gated.trace")
    trace_by_hand(noise=True, images=0).save(tmp_path / "noisy.trace")
    trace_by_hand(d=200, steps=500, images=0).save(tmp_path / "wide.trace")
    names = ("gated.trace", "noisy.trace", "wide.trace")
    return read_trainings([tmp_path / name for name in names])


@pytest.fixture
def session(trainings):
    session = Session(OnlyTrainings(trainings, "latentmap explore --trace gated.trace"))
    yield session
    session.close()


def ask(session, action, **asked):
    found = session.ask(action, asked).result(10).told
    return json.loads(json.dumps(found, allow_nan=False))


def test_the_page_is_told_of_trainings_without_a_model(session, trainings):
    told = ask(session, "describe")
    assert told["source"] is None and told["command"] == "latentmap explore --trace gated.trace"
    first, second, third = told["trainings"]
    assert (first["name"], first["variables"]) == ("gated.trace", 3)
    assert first["epochs"] == [0, 10, 20, 30, 40]
    assert {"gates", "open", "multiplier"} <= {*first["drawn"]}
    assert {"noise", "worth", "cost"} <= {*second["drawn"]} and "gates" not in second["drawn"]
    assert [*third["drawn"]] == ["gain", "kl", "means", "posteriors", "loss", "mse", "gamma"]
    assert not session.knows("move")


@pytest.mark.parametrize("epoch", range(5))
def test_a_moment_is_that_of_the_library(session, trainings, epoch):
    told = ask(session, "moment", trace=0, epoch=epoch)
    plane = told.pop("plane")
    trace = trainings[0].trace
    assert told == json.loads(json.dumps(moment_of(trace, epoch).to_json()))
    motion = motion_of(trace)
    assert plane["variables"] == list(motion.variables) and plane["step"] == 10 * epoch
    assert len(plane["ways"]) == epoch + 1
    np.testing.assert_allclose(plane["ways"][-1], motion.places[epoch], rtol=1e-4)
    np.testing.assert_allclose(plane["radii"], motion.radii[epoch], rtol=1e-4)
    assert [one["name"] for one in plane["legend"]] == ["a", "b"]
    colours = [one["colour"] for one in plane["legend"]]
    assert plane["colours"] == [colours[i % 2] for i in range(5)]


def test_the_tail_of_the_discs_is_bounded():
    trace = trace_by_hand(epochs=30)
    session = Session(OnlyTrainings((Training("a.trace", trace),)))
    assert len(ask(session, "moment", trace=0, epoch=30)["plane"]["ways"]) == 13
    session.close()


def test_there_is_no_plane_where_no_image_was_followed(session):
    assert ask(session, "moment", trace=2, epoch=1)["plane"] is None


def test_there_is_no_plane_of_one_variable():
    session = Session(OnlyTrainings((Training("a.trace", trace_by_hand(d=1)),)))
    assert ask(session, "moment", trace=0, epoch=1)["plane"] is None
    session.close()


def test_curves_are_those_of_the_trace(session, trainings):
    trace = trainings[0].trace
    told = ask(session, "curves", trace=0, drawn="kl")
    order = trace.leading
    assert told["variables"] == order.tolist() and told["at"] == [0, 10, 20, 30, 40]
    np.testing.assert_allclose(told["lines"], trace.epochs.kl.T[order], rtol=1e-4)
    ends = trace.epochs.mean_variance[-1][order] <= 0.05
    assert told["inactive"] == np.flatnonzero(ends).tolist()
    stairs = staircase_in(trace)
    told = ask(session, "curves", trace=0, drawn="open")
    assert told["lines"] == [stairs.open.tolist()] and told["at"] == stairs.steps.tolist()
    assert (told["variables"], told["inactive"]) == ([], [])


def test_of_many_steps_and_variables_some_are_drawn(session, trainings):
    told = ask(session, "curves", trace=2, drawn="means")
    trace = trainings[2].trace
    assert len(told["lines"]) == 128 and len(told["at"]) == 300
    assert told["at"][0] == trace.steps.number[0] and told["at"][-1] == trace.steps.number[-1]
    assert told["variables"] == trace.leading[:128].tolist()
    last = trace.steps.mean_variance[-1][told["variables"]]
    np.testing.assert_allclose([line[-1] for line in told["lines"]], last, rtol=1e-4)


@pytest.mark.parametrize(
    ("action", "asked", "said"),
    [
        ("moment", {"trace": 3, "epoch": 0}, "trace must be a whole number from 0 to 2"),
        ("moment", {"trace": 0, "epoch": 5}, "epoch must be a whole number from 0 to 4"),
        ("moment", {"trace": 0, "epoch": "1"}, "epoch must be a whole number from 0 to 4"),
        ("curves", {"trace": 0, "drawn": "noise"}, "what is drawn is one of gain, kl, .* 'noise'"),
        ("curves", {"trace": 0}, "drawn must be a text"),
    ],
)
def test_what_is_not_there_is_refused(session, action, asked, said):
    with pytest.raises(ExplorerError, match=said):
        ask(session, action, **asked)


def test_spaces_without_trainings_say_so(explored):
    session = Session(explored)
    assert ask(session, "describe")["trainings"] == []
    with pytest.raises(ExplorerError, match="no training was recorded here: start with --trace"):
        ask(session, "moment", trace=0, epoch=0)
    session.close()


def test_what_is_no_trace_is_refused(tmp_path):
    (tmp_path / "a.trace").write_bytes(b"no trace")
    with pytest.raises(ModelError, match=r"a\.trace"):
        read_trainings([tmp_path / "a.trace"])
