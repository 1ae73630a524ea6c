"""latentmap models prior: a VAE gets a prior that is fitted to the codes of images."""

import json

import pytest
from click.testing import CliRunner

from latentmap.cli.main import main
from latentmap.cli.prior import RENORMALISATIONS
from latentmap.encoders.two_stage import RENORMALISATIONS as KNOWN

FEW = ["--data", "few.npy", "--device", "cpu"]


def run(*words, code=0):
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == code, result.output
    return result


def fit(*words, out="new.safetensors", code=0):
    return run("models", "prior", *words, *FEW, "--out", out, code=code)


def test_the_choices_are_those_of_the_library():
    assert RENORMALISATIONS == KNOWN


def test_a_model_is_shown_and_sampled_with_its_prior(workdir):
    said = fit("a.safetensors", "--fit", "mixture:2").stdout
    assert "its prior is a mixture of 2 normal distributions, fitted to the codes of 300 " in said
    shown = run("models", "show", "new.safetensors").stdout
    assert "  prior        a mixture of 2 normal distributions\n" in shown
    record = json.loads(run("models", "show", "new.safetensors", "--json").stdout)["prior"][
        "record"
    ]
    assert record["command"].startswith("latentmap")
    for name in ("a", "new"):
        run("sample", f"{name}.safetensors", "-n", 2, "--device", "cpu", "--out", f"{name}.h5")
    assert (workdir / "a.h5").read_bytes() != (workdir / "new.h5").read_bytes()


def test_json_has_all_that_is_known_of_the_prior(workdir):
    said = json.loads(fit("a.safetensors", "--fit", "normal", "--json").stdout)
    assert (said["kind"], said["n"], said["replaced"]) == ("mixture", 300, None)
    assert (
        said["fingerprint"]
        == json.loads(run("models", "show", "a.safetensors", "--json").stdout)["fingerprint"]
    )


def test_a_prior_that_was_there_is_replaced_or_dropped_and_said(workdir):
    fit("a.safetensors", "--fit", "normal")
    told = fit("new.safetensors", "--fit", "mixture:2", out="other.safetensors").stderr
    assert "new.safetensors had a prior, a normal distribution: other.safetensors has" in told
    told = run("models", "normalise", "new.safetensors", *FEW, "--out", "n.safetensors").stderr
    assert "n.safetensors is without the prior of new.safetensors, a normal distribution" in told
    words = ["new.safetensors", "--until-mse", 1, *FEW, "--out", "p.safetensors"]
    told = run("models", "prune", *words).stderr
    assert "p.safetensors is without the prior of new.safetensors, a normal distribution" in told
    assert run("models", "show", "p.safetensors").stdout.count("  prior ") == 0


@pytest.mark.parametrize("text", ["mixture", "mixture:0", "mixture:x", "flow", "normal:3"])
def test_what_is_no_prior_is_refused(workdir, text):
    message = fit("a.safetensors", "--fit", text, code=2).stderr
    assert f"{text!r} is no prior: give mixture:K, with K from 1 to 10,000, normal, or" in message


def test_an_option_without_effect_is_refused(workdir):
    words = ("--fit", "normal", "--renormalise", "law")
    message = fit("a.safetensors", *words, code=2).stderr
    assert "--renormalise has no effect without --fit two-stage" in message


def test_nothing_is_said_of_the_standard_normal_prior_where_there_is_another(workdir):
    tiny = ["--architecture", "dense", "--widths", "16", "--latent-dim", "3", "--epochs", "8"]
    loose = ["--batch-size", "20", "--learning-rate", "0.01", "--beta", "0.01", "--no-normalise"]
    run("train", "vae", *FEW, "--limit", 200, *tiny, *loose, "--out", "vae.safetensors")
    drawn = ["-n", "2", "--codes-out", "codes.npz", "--device", "cpu", "--force"]
    assert "nats from the codes" in run("sample", "vae.safetensors", *drawn).stderr
    fit("vae.safetensors", "--fit", "normal")
    assert "nats from the codes" not in run("sample", "new.safetensors", *drawn).stderr
