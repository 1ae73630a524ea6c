"""A training at an epoch: what was recorded there, and of the last batch before."""

import json
from dataclasses import replace

import numpy as np
import pytest

from latentmap.diagnostics.deteriorated import deteriorated_in
from latentmap.diagnostics.staircase import staircase_in
from latentmap.diagnostics.trace_moments import moment_of
from latentmap.errors import ModelError
from tests.core.diagnostics.traces_by_hand import trace_by_hand


@pytest.mark.parametrize("epoch", range(5))
def test_it_has_the_variables_of_the_epoch_and_the_batch_before(epoch):
    trace = trace_by_hand()
    found = moment_of(trace, epoch)
    assert (found.epoch, found.step) == (epoch, 10 * epoch)
    for name in ("gain", "kl", "mean_variance", "posterior_variance"):
        np.testing.assert_array_equal(getattr(found, name), getattr(trace.epochs, name)[epoch])
    assert found.active.tolist() == (trace.epochs.mean_variance[epoch] > 0.05).tolist()
    # Steps 1, 5, 10, 15, ... were recorded: 10 is the third, 20 the fifth.
    batch = {} if epoch == 0 else {"loss": trace.steps.loss[2 * epoch], "step": 10 * epoch}
    assert {name: found.batch[name] for name in batch} == batch
    assert sorted(found.batch) == ([] if epoch == 0 else ["gamma", "loss", "mse", "step"])
    assert (found.gates, found.worth) == (None, {})


def test_the_batch_before_says_how_long_before_it_was():
    trace = trace_by_hand()
    later = np.where(trace.steps.number < 5, trace.steps.number, trace.steps.number + 3)
    found = moment_of(replace(trace, steps=replace(trace.steps, number=later)), 1)
    # Of steps 1, 8, 13, ... the second is the last until 10.
    assert (found.step, found.batch["step"]) == (10, 8)
    assert found.batch["loss"] == trace.steps.loss[1]


def test_gates_are_those_of_the_staircase():
    trace = trace_by_hand(gates=True)
    found, stairs = moment_of(trace, 2), staircase_in(trace)
    assert found.batch["open gates"] == stairs.open[4]
    assert found.batch["error"] == stairs.error[4]
    assert found.batch["multiplier"] == stairs.multiplier[4]
    np.testing.assert_array_equal(found.gates, trace.steps.gates[4])
    assert moment_of(trace, 0).gates is None


def test_a_deteriorated_variable_has_its_phase_and_its_worth():
    trace = trace_by_hand(noise=True)
    noisy = deteriorated_in(trace)
    for epoch in range(5):
        assert moment_of(trace, epoch).worth == {
            "variable": 1,
            "phase": noisy.phases[epoch],
            "noise": noisy.noise[epoch],
            "gain": noisy.gain[epoch],
            "KL": noisy.cost[epoch],
        }


def test_it_is_told_as_json():
    trace = trace_by_hand(gates=True, noise=True)
    told = json.loads(json.dumps(moment_of(trace, 3).to_json()))
    assert told["epoch"] == 3 and told["step"] == 30
    assert told["kl"] == trace.epochs.kl[3].tolist()
    assert told["gates"] == trace.steps.gates[6].tolist()
    assert told["active"] == moment_of(trace, 3).active.tolist()


@pytest.mark.parametrize("epoch", [-1, 5])
def test_epochs_that_were_not_are_refused(epoch):
    with pytest.raises(ModelError, match=f"epochs 0 to 4, not {epoch}"):
        moment_of(trace_by_hand(), epoch)
