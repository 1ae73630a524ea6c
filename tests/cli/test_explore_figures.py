"""`latentmap explore --figure`: charts of the views, as commands."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from latentmap.cli.explore_page import Page
from latentmap.cli.main import main
from latentmap.diagnostics.trace_moments import moment_of
from latentmap.explorer.actions import ACTIONS
from latentmap.explorer.own_files import read_own_file
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


OWN = ["a.safetensors", "b.safetensors", "--data", "few.npy", "--cache", "cache", "--device", "cpu"]


@pytest.fixture
def own(workdir):
    """The id of an image of one's own in the current folder."""
    Image.fromarray(np.load("few.npy")[7].reshape(8, 8)).save("my face.png")
    return read_own_file("my face.png", "").id


def test_an_own_image_is_drawn_and_is_what_the_data_has(own):
    result = run(*OWN, "--image", "my face.png", "--at", "view=own", "--figure", "o.png", "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["upload"] == own
    state = "start=image&image=7"
    known = json.loads(run(*OWN, "--at", state, "--figure", "k.png", "--json").stdout)
    assert [one["role"] for one in told["pictures"]] == ["source", "mapped", "own"]
    mine, other = (one["pictures"][1]["mse"] for one in (told, known))
    assert mine == pytest.approx(other, rel=1e-4)
    state = f"view=own&upload={own}"
    named = run(*OWN, "--image", "my face.png", "--at", state, "--figure", "n.pdf")
    assert named.stdout.startswith("n.pdf: my face.png in a, b; to b: ")
    # It is where a code, and a line, start from.
    for state in (f"start=upload&upload={own}", f"view=line&b=start%3Dupload%26upload%3D{own}"):
        words = ["--image", "my face.png", "--at", state, "--figure", "s.png", "--force"]
        assert run(*OWN, *words).exit_code == 0


def test_it_is_on_the_page_from_the_start(own, monkeypatch):
    served = []
    monkeypatch.setattr(Page, "serve", lambda self, explored, *_, **__: served.append(explored))
    path = Path("my face.png").resolve()
    result = run(*OWN, "--image", str(path), "--no-browser")
    assert result.exit_code == 0, result.output
    told = ACTIONS["describe"](served[0], {}).told
    assert told["own"] == [{"upload": own, "file": "my face.png"}]
    assert "--image" not in told["command"] and str(path.parent) not in json.dumps(told)
    assert ACTIONS["own"](served[0], {"upload": own}).told["upload"] == own


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--at", "view=own", "--figure", "x.png"], 1, "there is no image of your own: give it by"),
        (["--image", "my face.png", "--figure", "x.png"], 2, "--image has no effect with a --figu"),
        (["--image", "few.npy"], 1, "few.npy is no image that can be taken: "),
        (["--image", "none.png"], 1, "none.png cannot be read: No such file"),
        (["--image", "my face.png"] * 17, 2, "give --image 16 times at most"),
        (
            ["--image", "my face.png", "--at", "view=own&upload=ab", "--figure", "x.png"],
            1,
            "the image 'ab' of your own is not here any more",
        ),
    ],
)
def test_what_no_own_image_can_be_is_refused(own, words, code, said):
    result = run(*OWN, *words)
    assert result.exit_code == code
    assert said in result.stderr.splitlines()[-1]
