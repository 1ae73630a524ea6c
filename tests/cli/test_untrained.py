"""Untrained networks on the command line."""

import json

from click.testing import CliRunner

from latentmap.cli.main import main
from latentmap.mapping import LinearMap


def run(*words, code=0):
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == code, result.output
    return result


def test_maps_from_and_to_an_untrained_network_find_it_again(workdir):
    untrained = "untrained:a.safetensors"
    for source, target in ((f"{untrained}?seed=2", "b.safetensors"), ("b.safetensors", untrained)):
        run("fit", "--src", source, "--dst", target, "--data", "few.npy", "--out", "m.safetensors")
        linear_map = LinearMap.load("m.safetensors")
        assert (linear_map.source_reference, linear_map.target_reference) == (source, target)
        found = run("evaluate", "m.safetensors", "--data", "few.npy", "--split", "test", "--json")
        scores = json.loads(found.stdout)
        assert (
            scores["r2"]
            == json.loads(run("map", "show", "m.safetensors", "--json").stdout)["record"][
                "held_out"
            ]["r2"]
        )
        run("map", "show", "m.safetensors")
        (workdir / "m.safetensors").unlink()


def test_an_untrained_network_is_shown_and_compared(workdir):
    shown = json.loads(run("models", "show", "untrained:a.safetensors", "--json").stdout)
    assert (shown["name"], shown["family"], shown["latent_dim"]) == ("untrained:a", "vae", 5)
    assert run("models", "check", "untrained:a.safetensors").stdout.startswith("untrained:a")
    models = ("a.safetensors", "untrained:a.safetensors", "untrained:a.safetensors?seed=4")
    result = run("compare", *models, "--data", "few.npy", "--permutations", "19", "--json")
    assert [model["reference"] for model in json.loads(result.stdout)["models"]] == list(models)


def test_what_has_no_configuration_is_refused_in_one_line(workdir):
    result = run("encode", "untrained:python:mine:load", "--data", "few.npy", code=1)
    assert result.stderr.count("\n") == 1
    assert "python: has no configuration that an untrained network is made of" in result.stderr
