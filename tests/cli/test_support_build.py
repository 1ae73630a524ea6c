"""latentmap support build, run as a user runs it."""

import json
import re

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from latentmap.cli import support_build
from latentmap.cli.main import main
from latentmap.images import open_images
from latentmap.model import Posterior
from latentmap.model.testing import LinearModel
from latentmap.support import SupportSet
from latentmap.support.selection import STRATEGIES

MODEL = ("a.safetensors", "--data", "few.npy")


def run(*words, code=0):
    result = CliRunner().invoke(
        main, ["support", "build", *map(str, words), "--device", "cpu"], prog_name="latentmap"
    )
    assert result.exit_code == code, result.output
    return result


def refusal(*words, code=1) -> str:
    told = run(*words, "--out", "refused.h5", code=code).stderr.splitlines()
    lines = [line for line in told if not line.startswith("first the variables of ")]
    assert code == 2 or len(lines) == 1
    return lines[-1]


def test_a_support_set_is_built_from_the_leading_variables(workdir):
    result = run(*MODEL, "-k", 3, "--threshold", 0.05, "--seed", 1, "--out", "s.h5")
    support = SupportSet.load(workdir / "s.h5")
    assert len(support) == 8
    assert support.sector.tolist() == list(range(8))
    assert support.images is None
    assert "s.h5: 8 images of 300, by sectors, in z of a" in result.stdout
    assert "at threshold 0.05" in result.stdout
    assert "images of the set" in result.stdout
    order = json.loads(
        CliRunner()
        .invoke(main, ["support", "order", *MODEL, "-k", "3", "--seed", "1", "--json"])
        .stdout
    )
    assert support.settings["variables"] == order["leading"]
    assert support.settings["spread"]["support_mse"] > 0
    assert support.select_in(open_images("few.npy")).ids.tolist() == support.ids.tolist()


def test_the_default_is_7_variables_or_all_of_a_smaller_space(workdir):
    result = json.loads(run(*MODEL, "--out", "s.h5", "--json").stdout)
    assert result["settings"]["k"] == 5
    assert result["n"] == result["sectors"] == 32


def test_the_chosen_threshold_is_shown_with_what_it_was_chosen_of(workdir):
    result = run(*MODEL, "--leading", "0,3", "--out", "s.h5")
    support = SupportSet.load(workdir / "s.h5")
    assert result.stdout.splitlines()[4].split() == [
        *("threshold", "sectors", "occupied", "members", "spread", "balance")
    ]
    (starred,) = [line for line in result.stdout.splitlines() if line.endswith("*")]
    assert float(starred.split()[0]) == support.threshold
    assert (
        f"threshold {support.threshold:g}: the lowest whose balance is at least 90 %"
        in result.stdout
    )


def test_an_order_that_takes_long_is_told_of_with_what_saves_it(workdir):
    told = "--leading I,J,... takes those that `latentmap support order` has named"
    assert told in run(*MODEL, "--out", "s.h5").stderr
    assert told not in run(*MODEL, "--leading", "0,3", "--out", "t.h5").stderr
    rival = ("--strategy", "random", "--members", 20)
    assert told not in run(*MODEL, *rival, "--out", "u.h5").stderr


def test_the_images_of_a_rival_are_numbered_by_sectors_of_any_threshold(workdir):
    rival = ("--strategy", "random", "--leading", "0,1", "--threshold", 0.5, "--members", 20)
    run(*MODEL, *rival, "--out", "s.h5")
    assert SupportSet.load(workdir / "s.h5").threshold == 0.5


@pytest.mark.parametrize("strategy", STRATEGIES[1:])
def test_rivals_choose_without_variables(workdir, strategy):
    run(*MODEL, "--strategy", strategy, "--members", 20, "--out", "s.h5")
    support = SupportSet.load(workdir / "s.h5")
    assert len(support) == 20
    assert support.settings["strategy"] == strategy
    assert support.settings["variables"] == []


def test_strategies_are_those_of_the_library():
    assert support_build.STRATEGIES == STRATEGIES


def test_images_are_kept_as_the_model_sees_them(workdir):
    run(*MODEL, "--leading", "1,2", "--with-images", "--out", "s.h5")
    support = SupportSet.load(workdir / "s.h5")
    assert support.images.shape == (5, 8, 8, 1)
    np.testing.assert_array_equal(support.images, support.pixels_in(open_images("few.npy")))


def test_excluded_images_are_left_out_and_unknown_ids_are_counted(workdir):
    (workdir / "ids.txt").write_text("\n".join(map(str, range(250))) + "\n\nnobody.png\n")
    result = run(*MODEL, "--leading", "1,2", "--exclude", "ids.txt", "--out", "s.h5")
    support = SupportSet.load(workdir / "s.h5")
    assert support.n_candidates == 50
    assert min(int(name) for name in support.ids) >= 250
    assert (
        "1 of the 251 names in ids.txt are of none of the 300 images (nobody.png is"
        in result.stderr
    )
    assert support.settings["choice"]["in_words"] == "few.npy, without those in ids.txt"


def test_attributes_choose_the_images(workdir):
    rows = "\n".join(f"{i},{1 if i % 3 else -1}" for i in range(300))
    (workdir / "hats.csv").write_text(f"file,hat\n{rows}\n")
    where = ("--attributes", "hats.csv", "--where", "hat == -1")
    run(*MODEL, "--leading", "1,2", *where, "--out", "s.h5")
    support = SupportSet.load(workdir / "s.h5")
    assert support.n_candidates == 100
    assert all(int(name) % 3 == 0 for name in support.ids)
    assert support.settings["choice"]["in_words"] == "few.npy, hat == -1"
    unknown = (*MODEL, "--attributes", "hats.csv", "--where", "hut == 1")
    assert "unknown attribute 'hut': did you mean hat?" in refusal(*unknown)


def test_what_cannot_be_is_said_before_any_work(workdir):
    assert "there are 5 latent variables, fewer than 6 leading ones" in refusal(*MODEL, "-k", 6)
    assert "32 sectors, more than the 20 images" in refusal(*MODEL, "-k", 5, "--limit", 20)
    assert "there is no variable 5" in refusal(*MODEL, "--leading", "1,5")
    (workdir / "all.txt").write_text("\n".join(map(str, range(300))))
    message = refusal(*MODEL, "--exclude", "all.txt")
    assert "all.txt excludes all 300 images of few.npy" in message
    (workdir / "binary.txt").write_bytes(b"\xff\xfe\xfa")
    assert "cannot be read as a list of images" in refusal(*MODEL, "--exclude", "binary.txt")
    assert not (workdir / "latentmap-cache").exists()
    assert not (workdir / "refused.h5").exists()


def test_wrong_usage_is_refused(workdir):
    assert "leave out --variables" in refusal(*MODEL, "-k", 2, "--leading", "0,1", code=2)
    rival = (*MODEL, "--strategy", "random")
    assert "--strict has no effect with --strategy random" in refusal(*rival, "--strict", code=2)
    for name, *option in (("-k/--variables", "-k", 3), ("--threshold", "--threshold", 3)):
        message = f"{name} has no effect with --strategy random unless --leading says"
        assert message in refusal(*rival, *option, code=2)
    for wrong in ("much", "-1", "nan", "inf"):
        assert f"'{wrong}' is no threshold" in refusal(*MODEL, "--threshold", wrong, code=2)
    assert "'1;2' is no list of variables" in refusal(*MODEL, "--leading", "1;2", code=2)


def test_an_output_that_exists_is_kept_without_force(workdir):
    (workdir / "refused.h5").write_text("mine")
    assert "refused.h5 exists" in refusal(*MODEL, "--leading", "0")
    assert (workdir / "refused.h5").read_text() == "mine"
    run(*MODEL, "--leading", "0,1", "--out", "refused.h5", "--force")
    assert len(SupportSet.load(workdir / "refused.h5")) == 5


class Constant(LinearModel):
    """Gives every image the same code."""

    def _posterior(self, images):
        own = super()._posterior(images)
        return Posterior(torch.full_like(own.mean, 0.5), own.variance)


@pytest.mark.parametrize("how", [(), ("--leading", "0,1"), ("--strategy", "kmeans")])
def test_an_encoder_that_gives_one_code_is_refused(workdir, monkeypatch, how):
    model = Constant(4, (1, 8, 8))
    monkeypatch.setattr("latentmap.encoders.load_all", lambda references, **_: [model])
    assert re.search("all 300 images the same code|one code for all 300", refusal(*MODEL, *how))
