"""train, models, encode and diagnose, run as a user runs them."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from safetensors.torch import save_file

from latentmap.cli.main import main
from latentmap.encoders import build, load
from latentmap.encoders.bundled import bundled_models
from latentmap.encoders.native import read_header, save_model

DIGITS = ["--data", "digits", "--limit", "60"]
TINY = ["--architecture", "dense", "--widths", "16,8", "--latent-dim", "3", "--batch-size", "20"]


@pytest.fixture(autouse=True)
def workdir(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words, code=0):
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == code, result.output
    return result


def files_here():
    """The model files that are listed besides the bundled ones."""
    listed = [Path(m["file"]) for m in json.loads(run("models", "list", "--json").stdout)]
    return [str(path) for path in listed if path not in bundled_models().values()]


def train(*words, out="vae.safetensors", code=0):
    return run("train", "vae", *DIGITS, *TINY, "--device", "cpu", "--out", out, *words, code=code)


def test_training_leaves_a_model_that_says_how_it_was_made():
    result = train("--epochs", "2", "--seed", "4", "--json")
    header = read_header("vae.safetensors")
    assert json.loads(result.stdout)["fingerprint"] == header.fingerprint
    assert header.config == {
        "architecture": "dense",
        "image_shape": [1, 8, 8],
        "latent_dim": 3,
        "widths": [16, 8],
    }
    assert (header.training["seed"], header.training["images"]) == (4, 60)
    assert header.training["command"]


def test_a_training_ends_with_its_last_figures_and_the_laws_on_images_it_has_not_seen():
    words = ["--data", "digits", "--split", "train", *TINY, "--epochs", "1", "--device", "cpu"]
    ended = run("train", "vae", *words, "--out", "v.safetensors")
    place, last, error, laws = ended.stdout.splitlines()
    assert place.startswith("v.safetensors: vae ")
    assert re.fullmatch(r"  last epoch: .*loss -?[\d.]+, .*mse [\d.]+, .*", last)
    found = re.fullmatch(r"  on (\d+) validation images: mse ([\d.]+), (\d) of 3 .*", error)
    assert found is not None, error
    assert re.match(r"  the laws there: mean s2 \+ Var is off 1 by [\d.]+ a variable", laws)
    said = json.loads(run("train", "vae", *words, "--out", "w.safetensors", "--json").stdout)
    kept = said["validation"]
    assert (kept["images"], kept["n"]) == ("validation", int(found[1]))
    assert kept["mse"] == pytest.approx(float(found[2]), abs=1e-5)
    val = ["--data", "digits", "--split", "val", "--limit", kept["n"], "--gain-images", "2"]
    shown = json.loads(run("diagnose", "v.safetensors", *val, "--json").stdout)
    names = ("mse", "active_variables", "law_deviation_mean", "law_deviation_max", "loss_ratio")
    assert {name: kept[name] for name in names} == {name: shown[name] for name in names}
    own = train("--epochs", "1", "--json", out="x.safetensors")
    assert json.loads(own.stdout)["validation"]["images"] == "training"


def test_a_split_vae_is_trained_at_the_size_and_frame_that_is_asked_for():
    options = ["--width", "2", "--embedding", "8", "--latent-dim", "3", "--steps", "2"]
    run("train", "split-vae", *DIGITS, *options, "--size", "32", "--frame", "0,0,1,0.5",
        "--resize", "pillow-lanczos", "--batch-size", "20", "--out", "s.safetensors")  # fmt: skip
    model = load("s.safetensors")
    assert model.image_shape == (1, 32, 32)
    assert (model.frame.name, model.frame.resize) == ("0,0,1,0.5", "pillow-lanczos")
    assert read_header("s.safetensors").training["beta"] == 3.0


def test_training_from_a_pack_keeps_its_frame_and_size():
    run("images", "pack", *DIGITS, "--size", "16", "--frame", "center", "--out", "pack.h5")
    run("train", "vae", "--data", "pack.h5", *TINY, "--epochs", "1", "--out", "p.safetensors")
    model = load("p.safetensors")
    assert (model.image_shape, model.frame.name) == ((1, 16, 16), "center")


def test_an_output_that_exists_asks_for_force_and_a_run_can_go_on():
    train("--epochs", "1")
    refused = train("--epochs", "1", code=1)
    assert refused.stderr.startswith("Error: vae.safetensors exists: choose another path, or add")
    train("--epochs", "1", "--force", "--keep-checkpoint")
    train("--epochs", "2", "--resume")
    assert read_header("vae.safetensors").training["figures"]["step"] == 6


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--widths", "16,x"], "'16,x' is no list of widths"),
        (["--epochs", "0"], "0 is not in the range"),
        (["--learning-rate", "0"], "0.0 is not in the range"),
        (["--size", "8x"], "'8x' is no size"),
        (["--where", "a =="], ""),
    ],
)
def test_wrong_usage_is_exit_code_2_and_writes_nothing(workdir, words, message):
    result = train(*words, code=1 if words[0] == "--where" else 2)
    assert message in result.stderr
    assert not any(workdir.iterdir())


def test_a_folder_of_mixed_sizes_and_channels_asks_what_is_wanted(workdir):
    (workdir / "faces").mkdir()
    Image.new("RGB", (8, 8)).save("faces/a.png")
    Image.new("L", (8, 8)).save("faces/b.png")
    result = run("train", "vae", "--data", "faces", *TINY, "--out", "v.safetensors", code=1)
    assert "1 grey images such as 'b.png'" in result.stderr
    words = ["--data", "faces", "--channels", "3", "--batch-size", "2", "--epochs", "1"]
    run("train", "vae", *words, "--architecture", "dense", "--out", "v.safetensors")
    assert load("v.safetensors").image_shape == (3, 8, 8)


def test_training_lists_what_it_skipped(workdir):
    (workdir / "faces").mkdir()
    for name in "abc":
        Image.new("L", (8, 8)).save(f"faces/{name}.png")
    (workdir / "faces" / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    words = ["train", "vae", "--data", "faces", "--architecture", "dense", "--batch-size", "2"]
    words += ["--epochs", "1", "--out", "v.safetensors", "--on-error", "skip", "--json"]
    result = run(*words)
    assert json.loads(result.stdout)["skipped"] == ["b.png"]
    assert "skipped b.png: it could not be read" in result.stderr


def test_models_are_listed_and_described(workdir):
    train("--epochs", "1")
    (workdir / "other.safetensors").write_bytes(b"not a model")
    listed = run("models").stdout
    assert "vae.safetensors" in listed and "other" not in listed
    assert files_here() == ["vae.safetensors"]
    shown = run("models", "show", "vae.safetensors").stdout
    for part in ("vae", "z, 3 variables", "8x8 grey", "frame full", "fingerprint", "training"):
        assert part in shown
    described = json.loads(run("models", "show", "vae.safetensors", "--json").stdout)
    assert described["image_shape"] == [1, 8, 8]
    refused = run("models", "show", "other.safetensors", code=1)
    assert "is no readable safetensors file" in refused.stderr


def test_listing_passes_over_hidden_files_and_models_that_do_not_say_their_size(workdir):
    train("--epochs", "1")
    whole = (workdir / "vae.safetensors").read_bytes()
    (workdir / ".hidden.safetensors").write_bytes(whole)
    # Of the same length, so that the file stays readable.
    (workdir / "vague.safetensors").write_bytes(whole.replace(b"latent_dim", b"latent_din"))
    assert files_here() == ["vae.safetensors"]
    assert "vague" not in run("models").stdout
    refused = run("models", "show", "vague.safetensors", code=1)
    assert "does not describe its model as it should: 'latent_dim'" in refused.stderr


def test_bundled_models_are_listed_by_name_and_described(workdir):
    listed = json.loads(run("models", "list", "--json").stdout)
    names = {m["name"] for m in listed}
    assert names == set(bundled_models())
    for name in names:
        assert name in run("models").stdout
        shown = run("models", "show", name).stdout
        assert "card" in shown and f"{name}.md" in shown


def test_encoding_with_two_models_fills_a_cache_once(workdir):
    train("--epochs", "1")
    train("--epochs", "1", "--seed", "1", out="b.safetensors")
    words = ["encode", "vae.safetensors", "b.safetensors", *DIGITS, "--cache", "codes", "--json"]
    result = json.loads(run(*words).stdout)
    assert [(c["model"], c["n"], c["dim"], c["computed"]) for c in result["codes"]] == [
        ("vae.safetensors", 60, 3, 60),
        ("b.safetensors", 60, 3, 60),
    ]
    before = sorted((p, p.stat().st_mtime_ns) for p in workdir.glob("codes/entries/*/*"))
    for codes in result["codes"]:
        codes["computed"] = 0
    assert json.loads(run(*words).stdout) == result
    assert sorted((p, p.stat().st_mtime_ns) for p in workdir.glob("codes/entries/*/*")) == before


def test_encoding_lists_what_it_skipped(workdir):
    (workdir / "faces").mkdir()
    for name in "abc":
        Image.new("L", (8, 8)).save(f"faces/{name}.png")
    (workdir / "faces" / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    train("--epochs", "1")
    words = ["encode", "vae.safetensors", "--data", "faces", "--cache", "codes"]
    assert "b.png" in run(*words, code=1).stderr
    result = run(*words, "--on-error", "skip")
    assert (
        "skipped 1 images that could not be read: b.png" in result.stderr
        and "2 codes" in result.stdout
    )


def test_diagnosing_prints_the_figures():
    train("--epochs", "1")
    result = json.loads(run("diagnose", "vae.safetensors", *DIGITS, "--json").stdout)
    assert (result["n"], len(result["variables"])) == (60, 3)
    text = run("diagnose", "vae.safetensors", *DIGITS).stdout
    active = result["active_variables"]
    assert re.search(rf"^active variables +{active} of 3$", text, re.MULTILINE)


def test_diagnosing_several_models_is_one_table(workdir):
    train("--epochs", "1")
    train("--epochs", "1", "--size", "16", "--out", "large.safetensors")
    words = ["diagnose", "vae.safetensors", "large.safetensors", *DIGITS, "--gain-images", "5"]
    outputs = ["--figure", "rows.png", "--scatter", "loss.png", "--report", "report"]
    result = json.loads(run(*words, *outputs, "--json").stdout)
    assert [one["model"] for one in result["models"]] == ["vae.safetensors", "large.safetensors"]
    assert {"data", "n_seen"} < set(result)
    for one in result["models"]:
        alone = json.loads(run("diagnose", one["model"], *words[3:], "--json").stdout)
        assert one.items() <= alone.items()
        assert one["gain_images"] == 5
        for name in ("mean_variance", "posterior_variance", "law_sum", "kl", "gain"):
            for variable in one["variables"]:
                assert variable[f"{name}_low"] <= variable[name] <= variable[f"{name}_high"]
    assert (workdir / "rows.png").exists() and (workdir / "loss.png").exists()
    assert "Variance loss against mse" in (workdir / "report" / "index.html").read_text("utf-8")
    lines = run(*words).stdout.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("model "))
    assert [line.split()[0] for line in lines[start : start + 3]] == ["model", "vae", "large"]
    assert "--force" in run(*words, "--scatter", "loss.png", code=1).stderr


def test_only_models_with_a_posterior_are_diagnosed(workdir):
    train("--epochs", "1")
    torch.manual_seed(0)
    config = {"image_shape": [1, 8, 8], "latent_dim": 4, "base": 8, "widths": [8], "norm": "batch"}
    save_model(build("gan", config), "gan.safetensors", training={})
    words = ["diagnose", "vae.safetensors", "gan.safetensors", *DIGITS]
    assert "gan has no encoder" in run(*words, code=1).stderr


def test_diagnosing_depends_on_the_precision_and_not_on_the_batches():
    train("--epochs", "1")

    def variances(*words):
        found = json.loads(run("diagnose", "vae.safetensors", *DIGITS, *words, "--json").stdout)
        return [variable["mean_variance"] for variable in found["variables"]]

    assert variances("--batch-size", "7") == pytest.approx(variances(), rel=1e-4)
    assert variances("--precision", "bfloat16") != pytest.approx(variances(), rel=1e-4)


def test_diagnosing_lists_what_it_skipped(workdir):
    (workdir / "faces").mkdir()
    for name in "abc":
        Image.new("L", (8, 8)).save(f"faces/{name}.png")
    (workdir / "faces" / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    train("--epochs", "1")
    words = ["diagnose", "vae.safetensors", "--data", "faces", "--json"]
    assert "b.png" in run(*words, code=1).stderr
    result = run(*words, "--on-error", "skip")
    assert "skipped 1 images that could not be read: b.png" in result.stderr
    figures = json.loads(result.stdout)
    assert (figures["n"], figures["skipped"]) == (2, ["b.png"])


def test_ctrl_c_ends_a_training_with_one_line_and_it_can_be_resumed(workdir):
    words = ["train", "vae", *DIGITS, *TINY, "--out", "v.safetensors", "--epochs", "100000"]
    program = f"""
from latentmap.encoders.training import loop
loop.Length.__init__.__defaults__ = (None, 0.0)
from latentmap.cli.main import main
main({words!r})
"""
    with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE) as child:
        while not (workdir / "v.safetensors.training" / "log.jsonl").exists():
            assert child.poll() is None
            time.sleep(0.02)  # The child has the processor.
        os.kill(child.pid, signal.SIGINT)
        _, stderr = child.communicate(timeout=60)
    assert child.returncode == 130
    lines = [line for line in stderr.decode().splitlines() if line.strip()]
    assert len(lines) == 1 and "--resume" in lines[0]
    assert not (workdir / "v.safetensors").exists()
    step = json.loads(
        (workdir / "v.safetensors.training" / "log.jsonl").read_text().splitlines()[-1]
    )["step"]
    run(*words[:-2], "--steps", step + 500, "--resume")
    assert (workdir / "v.safetensors").exists()


def test_files_that_are_left_out_of_the_list_are_named_with_the_reason(workdir):
    train("--epochs", "1", "--batch-size", "30")
    save_file({"x": torch.zeros(2)}, "other.safetensors")
    Path("pointer.pkl").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid")
    Path("weights.pt").write_bytes(b"\x80\x02]q\x00.")
    Path("bytes.ckpt").write_bytes(b"\x01\x02")
    Path("notes.txt").write_text("of no interest")
    for words in ([], ["--json"]):
        result = run("models", "list", *words)
        assert "vae.safetensors" in result.stdout
        lines = [line for line in result.stderr.splitlines() if not line.startswith("next: ")]
        assert [line.split(" is ")[0] for line in lines] == [
            "left out: bytes.ckpt",
            "left out: other.safetensors",
            "left out: pointer.pkl",
            "left out: weights.pt",
        ]
        assert "no model of latentmap" in lines[1]
        assert "a Git LFS pointer" in lines[2]
        assert "is a pickle, no model file: `latentmap import --inspect` tells" in lines[3]
