"""`latentmap explore --figure`: charts of the views, as commands."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from latentmap.cli.main import main
from latentmap.diagnostics.trace_moments import moment_of
from tests.core.diagnostics.traces_by_hand import trace_by_hand


def run(*words):
    return CliRunner().invoke(main, ["explore", *words])


@pytest.mark.parametrize("models", [[], ["a.safetensors", "b.safetensors"]])
def test_a_training_is_drawn_with_and_without_models(workdir, models):
    trace = trace_by_hand(gates=True)
    trace.save("gated.trace")
    words = [*models, "--trace", "gated.trace", "--at", "view=traces&epoch=2", "--figure", "m.svg"]
    result = run(*words, "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["picture"] == "m.svg" and told["moment"] == moment_of(trace, 2).to_json()
    assert "epoch 2 of 4, 20 steps" in Path("m.svg").read_text(encoding="utf-8")
    assert run(*words).exit_code == 1  # It is there.
    again = run(*words, "--force")
    assert again.stdout == "m.svg: epoch 2 of gated.trace\n"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--at", "view=line", "--figure", "m.png"], 1, "without a MODEL there is the view traces"),
        (["--figure", "m.png", "--port", "80"], 2, "--port has no effect with --figure"),
        (["--figure", "m.png", "--report", "r"], 2, "--report has no effect without a MODEL"),
        (["a", "--at", "view=traces", "--figure", "m.png", "--report", "r"], 2, "with --figure"),
        (["--figure", "m.gif"], 1, "m.gif must end in .pdf"),
        (["--figure", "a.trace"], 1, "--trace and --figure are both a.trace"),
        (["--width", "9"], 2, "--width has no effect without a figure"),
    ],
)
def test_what_no_figure_of_a_training_can_be_is_refused(workdir, words, code, said):
    trace_by_hand().save("a.trace")
    result = run(*words, "--trace", "a.trace")
    assert result.exit_code == code
    assert said in result.stderr.splitlines()[-1]


def test_the_view_of_trainings_needs_one(workdir):
    result = run("a.safetensors", "--at", "view=traces", "--figure", "m.png")
    assert result.exit_code == 2 and "a training by --trace FILE" in result.stderr


def test_points_are_coloured_by_attributes(workdir):
    rows = [f"{number},{number % 3}" for number in range(200)]
    Path("few.csv").write_text("\n".join(["image,hat", *rows]), encoding="utf-8")
    words = ["a.safetensors", "--data", "few.npy", "--cache", "cache", "--attributes", "few.csv"]
    state = "view=points&plane=variables_1_3&colour=attribute+hat"
    result = run(*words, "--device", "cpu", "--at", state, "--figure", "p.png", "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert (told["points"], told["unknown"], told["ends"]) == (300, 100, [0, 2])
    assert Path("p.png").exists()
    result = run(*words, "--device", "cpu", "--at", state, "--figure", "p.svg")
    assert result.stdout == "p.svg: 300 codes of a, variable 1 and variable 3, by hat\n"
    missing = run(*words, "--at", "view=points&colour=attribute+cap", "--figure", "q.png")
    assert missing.exit_code == 1
    assert missing.stderr.splitlines()[-1].endswith(
        "points are not coloured by 'attribute cap': choose another"
    )
