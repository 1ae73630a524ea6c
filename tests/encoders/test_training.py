import functools
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors import safe_open

from latentmap.encoders import load
from latentmap.encoders.native import read_header
from latentmap.encoders.training import runs
from latentmap.encoders.training.batches import PixelBatches
from latentmap.encoders.training.loop import CHECKPOINT, LOG, Length
from latentmap.encoders.training.on_images import train_on_images
from latentmap.encoders.training.runs import training_seconds, working_folder
from latentmap.encoders.training.train_vae import VAESettings
from latentmap.encoders.training.vae import VAERecipe
from latentmap.encoders.vae import VAEModel
from latentmap.errors import ModelError, OutputError
from latentmap.images import open_images
from latentmap.model.testing import check_model
from tests.encoders.stages import during

# What a run goes on from is looked at here, after its end too.
Run = functools.partial(runs.Run, keep_checkpoint=True)

DENSE = {"architecture": "dense", "image_shape": [1, 8, 8], "latent_dim": 3, "widths": [16]}
CONV = {"architecture": "conv", "image_shape": [1, 8, 8], "latent_dim": 3, "widths": [4, 4]}
SPLIT = {"image_shape": [1, 8, 8], "latent_dim": 3, "width": 2, "embedding": 8}
SETTINGS = VAESettings("vae", CONV, epochs=3, batch_size=16, learning_rate=1e-3, seed=7)


@pytest.fixture
def images(tmp_path):
    path = tmp_path / "images.npy"
    pixels = np.random.default_rng(0).integers(0, 256, (70, 8, 8), dtype=np.uint8)
    np.save(path, np.sort(pixels, axis=2))
    return open_images(path)


def network_of(settings):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return VAEModel(settings.config).network.requires_grad_(True)


def tensors_of(path):
    with safe_open(path, framework="pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}


def log_of(folder):
    lines = [json.loads(line) for line in (folder / LOG).read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "images_per_second"} for line in lines]


def test_one_step_equals_the_published_loss_by_hand():
    network = network_of(replace(SETTINGS, config=DENSE))
    recipe = VAERecipe(network, learning_rate=1e-3, beta=3.0)
    x = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    torch.manual_seed(5)
    mean, log_variance = network.encode(x)
    z = mean + torch.exp(log_variance / 2) * torch.randn_like(mean)
    error = ((network.decode(z) - x) ** 2).detach()
    kl = 0.5 * (mean**2 + log_variance.exp() - log_variance - 1).sum(1).mean()
    gamma2 = min(1.0, 0.99 * 1.0 + 0.01 * float(error.mean()))
    expected = float(error.sum() / 6 / (2 * gamma2) + 3.0 * kl.detach())
    torch.manual_seed(5)
    recipe.step(x, 0)
    figures = recipe.figures()
    assert figures["loss"] == pytest.approx(expected, rel=1e-5)
    assert figures["mse"] == pytest.approx(float(error.mean()), rel=1e-5)
    assert figures["kl"] == pytest.approx(float(kl.detach()), rel=1e-5)
    assert figures["gamma"] == pytest.approx(gamma2**0.5, rel=1e-5)


def test_a_fixed_gamma_stays():
    recipe = VAERecipe(network_of(SETTINGS), gamma=0.5)
    for index in range(3):
        recipe.step(torch.rand(4, 1, 8, 8), index)
    assert recipe.figures()["gamma"] == pytest.approx(0.5)


def test_active_variables_are_those_whose_mean_varies():
    network = network_of(replace(SETTINGS, config=DENSE))
    with torch.no_grad():
        network.mean.weight[0].zero_()
        network.mean.weight[1:].mul_(50)
    recipe = VAERecipe(network, learning_rate=1e-9)
    recipe.step(torch.rand(64, 1, 8, 8, generator=torch.Generator().manual_seed(0)), 0)
    assert recipe.figures()["active_variables"] == 2


def test_training_lowers_the_loss_and_leaves_a_model_log_and_pictures(tmp_path, images):
    out = tmp_path / "vae.safetensors"
    state = torch.get_rng_state()
    model = train_on_images(images, replace(SETTINGS, epochs=6), Run(out))
    assert torch.equal(torch.get_rng_state(), state), "the caller's random state was changed"
    check_model(model)
    assert load(out).fingerprint == model.fingerprint
    log = log_of(working_folder(out))
    assert [line["epoch"] for line in log] == [1, 2, 3, 4, 5, 6]
    assert log[-1]["mse"] < log[0]["mse"]
    assert {"loss", "mse", "kl", "gamma", "active_variables", "step"} <= set(log[0])
    assert len(list(working_folder(out).glob("epoch-*.png"))) == 6
    training = read_header(out).training
    assert (training["images"], training["seed"], training["data"]) == (70, 7, images.fingerprint)


def test_the_same_seed_trains_the_same_model_and_another_seed_another(tmp_path, images):
    def fingerprint(name, seed):
        settings = replace(SETTINGS, epochs=1, seed=seed)
        return train_on_images(images, settings, Run(tmp_path / f"{name}.safetensors")).fingerprint

    assert fingerprint("a", 1) == fingerprint("b", 1) != fingerprint("c", 2)


class StopHereError(Exception):
    pass


@pytest.mark.parametrize(
    ("family", "config", "stop_after"),
    [("vae", CONV, 1), ("vae", CONV, 4), ("vae", CONV, 9), ("split-vae", SPLIT, 5)],
)
def test_a_resumed_run_equals_the_uninterrupted_one_bit_for_bit(
    tmp_path, images, monkeypatch, family, config, stop_after
):
    settings = replace(SETTINGS, family=family, config=config)
    whole = tmp_path / "whole.safetensors"
    train_on_images(images, settings, Run(whole))

    def stop(done, total):
        if done == stop_after * settings.batch_size:
            raise StopHereError

    monkeypatch.setattr(Length, "checkpoint_seconds", 0.0)
    monkeypatch.setattr(Length.__init__, "__defaults__", (None, 0.0))
    out = tmp_path / "resumed.safetensors"
    with pytest.raises(StopHereError):
        train_on_images(images, settings, Run(out, stage=during("training", stop)))
    assert not out.exists()
    train_on_images(images, settings, Run(out, resume=True))
    first, second = (tensors_of(working_folder(path) / CHECKPOINT) for path in (whole, out))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert load(whole).fingerprint == load(out).fingerprint
    assert log_of(working_folder(whole)) == log_of(working_folder(out))


def test_a_run_can_be_made_longer(tmp_path, images):
    whole, out = tmp_path / "whole.safetensors", tmp_path / "longer.safetensors"
    train_on_images(images, SETTINGS, Run(whole))
    train_on_images(images, replace(SETTINGS, steps=6), Run(out))
    assert [line["step"] for line in log_of(working_folder(out))] == [4, 6]
    train_on_images(images, SETTINGS, Run(out, resume=True))
    assert load(whole).fingerprint == load(out).fingerprint
    assert log_of(working_folder(whole)) == log_of(working_folder(out))
    with pytest.raises(ModelError, match="has 12 steps already, more than 4: ask for at least"):
        train_on_images(images, replace(SETTINGS, epochs=1), Run(out, resume=True))


def test_a_finished_run_leaves_its_model_its_log_and_pictures(tmp_path, images, monkeypatch):
    out = tmp_path / "vae.safetensors"
    settings = replace(SETTINGS, epochs=2)
    made = train_on_images(images, settings, runs.Run(out))
    checkpoint = working_folder(out) / CHECKPOINT
    assert not tensors_of(checkpoint)
    assert sum(path.stat().st_size for path in working_folder(out).glob("*.safetensors")) < 4000
    assert len(log_of(working_folder(out))) == 2
    # It is as long as it is asked for: nothing is trained, and nothing written.
    written = out.stat().st_mtime_ns
    again = train_on_images(images, settings, runs.Run(out, resume=True))
    assert (again.fingerprint, out.stat().st_mtime_ns) == (made.fingerprint, written)
    with pytest.raises(ModelError, match=r"was finished after 8 steps, and what it needed to"):
        train_on_images(images, SETTINGS, runs.Run(out, resume=True))
    with pytest.raises(ModelError, match="other settings: learning_rate was"):
        train_on_images(images, replace(settings, learning_rate=1), runs.Run(out, resume=True))
    with pytest.raises(ModelError, match="is finished, with normalise True, and what it could be"):
        unfinished = replace(settings, normalise=False)
        train_on_images(images, unfinished, runs.Run(out, resume=True))
    out.unlink()
    with pytest.raises(ModelError, match="is finished, but the file and what it could be made of"):
        train_on_images(images, settings, runs.Run(out, resume=True))
    with pytest.raises(OutputError, match="holds an earlier run: go on with --resume where it was"):
        train_on_images(images, settings, runs.Run(out))
    assert train_on_images(images, settings, runs.Run(out, force=True)).fingerprint == (
        made.fingerprint
    )


def test_killing_a_training_at_any_moment_loses_at_most_the_last_checkpoint(tmp_path, images):
    whole, out = tmp_path / "whole.safetensors", tmp_path / "killed.safetensors"
    settings = replace(SETTINGS, epochs=25)
    train_on_images(images, settings, Run(whole))
    program = f"""
import torch
torch.set_num_threads({torch.get_num_threads()})
from pathlib import Path
from latentmap.encoders.training import loop, on_images, runs, train_vae as t
from latentmap.images.opening import open_images
from contextlib import nullcontext
loop.Length.__init__.__defaults__ = (None, 0.0)
out = Path({str(out)!r})
started = (runs.working_folder(out) / loop.CHECKPOINT).exists()
on_images.train_on_images(
    open_images({str(images.path)!r}), t.{settings!r},
    runs.Run(
        out, resume=started, force=not started,
        stage=lambda label, unit="images": nullcontext(
            (lambda done, total: print(done, flush=True)) if label == "training" else None)))
"""
    delays = iter([0.0, 0.05, 0.2])
    kills = 0
    while not out.exists():
        with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as child:
            delay = next(delays, None)
            if delay is not None:
                child.stdout.readline()
                time.sleep(delay)
                os.kill(child.pid, signal.SIGKILL)
                kills += 1
            else:
                child.communicate()
                assert child.returncode == 0
    assert kills >= 2
    assert load(whole).fingerprint == load(out).fingerprint


def test_a_run_that_was_stopped_before_its_first_checkpoint_can_be_resumed(tmp_path, images):
    def stop(done, total):
        raise StopHereError

    whole, out = tmp_path / "whole.safetensors", tmp_path / "early.safetensors"
    train_on_images(images, SETTINGS, Run(whole))
    with pytest.raises(StopHereError):
        train_on_images(images, SETTINGS, Run(out, stage=during("training", stop)))
    train_on_images(images, SETTINGS, Run(out, resume=True))
    assert load(whole).fingerprint == load(out).fingerprint


def test_a_training_that_diverges_stops_and_keeps_its_last_good_checkpoint(tmp_path, images):
    out = tmp_path / "wild.safetensors"
    with pytest.raises(ModelError, match=r"diverged before step 4 .* lower learning rate"):
        train_on_images(images, replace(SETTINGS, learning_rate=1e30), Run(out))
    tensors = tensors_of(working_folder(out) / CHECKPOINT)
    assert all(torch.isfinite(tensor).all() for tensor in tensors.values())
    assert not out.exists()


def test_two_trainings_cannot_spoil_each_other(tmp_path, images):
    out = tmp_path / "vae.safetensors"

    def another(done, total):
        with pytest.raises(ModelError, match="another process is training in"):
            train_on_images(images, SETTINGS, Run(out, resume=True))
        with pytest.raises(ModelError, match="another process is training in"):
            train_on_images(images, SETTINGS, Run(out, force=True))
        assert (working_folder(out) / CHECKPOINT).exists()

    train_on_images(images, replace(SETTINGS, steps=1), Run(out, stage=during("training", another)))


def test_starting_again_leaves_nothing_of_the_earlier_run(tmp_path, images):
    out = tmp_path / "vae.safetensors"
    train_on_images(images, SETTINGS, Run(out))
    train_on_images(images, replace(SETTINGS, epochs=1), Run(out, force=True))
    assert [path.name for path in working_folder(out).glob("epoch-*")] == ["epoch-0001.png"]
    assert len(log_of(working_folder(out))) == 1


def test_what_a_killed_run_half_saved_is_removed(tmp_path, images):
    out = tmp_path / "vae.safetensors"
    train_on_images(images, replace(SETTINGS, epochs=1), Run(out))
    save = """
import os, sys
from latentmap.files import replace_atomic
with replace_atomic(sys.argv[1]) as temporary:
    temporary.write_bytes(b"half")
    os._exit(9)
"""
    subprocess.run([sys.executable, "-c", save, working_folder(out) / CHECKPOINT], check=False)
    (half,) = working_folder(out).glob(".checkpoint.*")
    train_on_images(images, replace(SETTINGS, epochs=2), Run(out, resume=True))
    assert not half.exists()


def test_a_flipped_bit_of_a_checkpoint_is_refused(tmp_path, images):
    out = tmp_path / "vae.safetensors"
    train_on_images(images, replace(SETTINGS, epochs=1), Run(out))
    path = working_folder(out) / CHECKPOINT
    whole = path.read_bytes()
    bits = np.random.default_rng(0).integers(0, 8 * len(whole), 12).tolist()
    for bit in [0, 8 * len(whole) - 1, *range(64, 8000, 797), *bits]:
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.raises(ModelError, match=r"checkpoint\.safetensors"):
            train_on_images(images, replace(SETTINGS, epochs=2), Run(out, resume=True))
    path.write_bytes(whole)
    train_on_images(images, replace(SETTINGS, epochs=2), Run(out, resume=True))


def test_starting_again_removes_nothing_that_is_not_of_a_run(tmp_path, images):
    out, elsewhere = tmp_path / "vae.safetensors", tmp_path / "elsewhere.png"
    train_on_images(images, replace(SETTINGS, epochs=1), Run(out))
    folder = working_folder(out)
    elsewhere.write_bytes(b"mine")
    (folder / "epoch-9999.png").symlink_to(elsewhere)
    (folder / "epoch-final.png").write_bytes(b"mine")
    train_on_images(images, replace(SETTINGS, epochs=1), Run(out, force=True))
    assert (folder / "epoch-final.png").read_bytes() == elsewhere.read_bytes() == b"mine"
    assert (folder / "epoch-9999.png").is_symlink()


@pytest.mark.parametrize("force", [False, True])
def test_a_folder_of_somebody_else_is_no_working_folder(tmp_path, images, force):
    out = tmp_path / "vae.safetensors"
    working_folder(out).mkdir()
    (working_folder(out) / LOG).write_text("precious")
    other = tmp_path / "other.safetensors"
    working_folder(other).symlink_to(working_folder(out))
    for path in (out, other):
        with pytest.raises(OutputError, match="is not the folder of a training"):
            train_on_images(images, SETTINGS, Run(path, force=force))
    assert [path.name for path in working_folder(out).iterdir()] == [LOG]
    assert (working_folder(out) / LOG).read_text() == "precious"


def test_what_a_killed_run_left_goes_with_the_next(tmp_path, images):
    out = tmp_path / "vae.safetensors"
    working_folder(out).mkdir()
    names = ["checkpoint.{}.tmp.safetensors", "log.{}.tmp.jsonl", "epoch-0009.{}.tmp.png"]
    for name in names:
        (working_folder(out) / f".{name.format('0000-1-00000000')}").touch()
    train_on_images(images, replace(SETTINGS, epochs=1), Run(out))
    assert not list(working_folder(out).glob(".*"))


def test_a_working_folder_that_cannot_be_made_is_one_clear_line(tmp_path, images):
    out = tmp_path / "vae.safetensors"
    working_folder(out).touch()
    with pytest.raises(OutputError, match=r"the folder .*vae\.safetensors\.training cannot be"):
        train_on_images(images, SETTINGS, Run(out))


def test_settings_that_do_not_fit_leave_nothing(tmp_path, images):
    out = tmp_path / "vae.safetensors"
    with pytest.raises(ModelError):
        train_on_images(images, replace(SETTINGS, config={**CONV, "widths": [0]}), Run(out))
    assert not working_folder(out).exists()


def test_settings_from_python_may_use_tuples(tmp_path, images):
    out = tmp_path / "vae.safetensors"
    config = {**CONV, "widths": (4, 4), "image_shape": (1, 8, 8)}
    train_on_images(images, replace(SETTINGS, config=config, epochs=1), Run(out))
    train_on_images(images, replace(SETTINGS, config=config, epochs=2), Run(out, resume=True))


def test_an_output_or_an_earlier_run_is_not_overwritten(tmp_path, images):
    out = tmp_path / "vae.safetensors"
    train_on_images(images, replace(SETTINGS, epochs=1), Run(out))
    with pytest.raises(OutputError, match=r"vae.safetensors exists: .* --force"):
        train_on_images(images, SETTINGS, Run(out))
    out.unlink()
    with pytest.raises(OutputError, match="holds an earlier run: go on with --resume"):
        train_on_images(images, SETTINGS, Run(out))
    train_on_images(images, replace(SETTINGS, epochs=1), Run(out, force=True))


def test_resuming_needs_a_checkpoint_of_the_same_settings(tmp_path, images):
    out = tmp_path / "vae.safetensors"
    with pytest.raises(ModelError, match=r"there is no checkpoint file .*: start without --resume"):
        train_on_images(images, SETTINGS, Run(out, resume=True))
    train_on_images(images, replace(SETTINGS, epochs=1), Run(out))
    with pytest.raises(ModelError, match=r"other settings: beta was 1.0, not 2.0, seed was 7, not"):
        train_on_images(images, replace(SETTINGS, beta=2.0, seed=8), Run(out, resume=True))
    checkpoint = working_folder(out) / CHECKPOINT
    checkpoint.write_bytes(checkpoint.read_bytes()[:50])
    with pytest.raises(
        ModelError, match=r"is cut off or of another kind .*; start without --resume"
    ):
        train_on_images(images, SETTINGS, Run(out, resume=True))


def test_fewer_images_than_a_batch_are_refused():
    with pytest.raises(ModelError, match="at least one batch of 16 images, not 5: lower the batch"):
        PixelBatches(torch.zeros(5, 1, 8, 8, dtype=torch.uint8), size=16, seed=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "epochs must be above 0, not 0"),
        ({"learning_rate": -1.0}, "learning rate must be above 0, not -1.0"),
        ({"gamma": 0.0}, "gamma must be above 0, not 0.0"),
        ({"steps": 0}, "steps must be above 0, not 0"),
        ({"beta": -1.0}, "beta must not be below 0, but is -1.0"),
        ({"beta": float("nan")}, "beta must not be below 0, but is nan"),
        ({"seed": -1}, "seed must not be below 0, but is -1"),
        ({"precision": "float16"}, "training takes float32 or bfloat16, not float16"),
    ],
)
def test_settings_that_make_no_sense_are_refused(change, message):
    with pytest.raises(ModelError, match=message):
        replace(SETTINGS, **change)


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"[]",
        b'{"step": 1}',
        b"\xff",
        b'{"images_per_second": 2.5, "step": 1%s}' % (b"0" * 999),
    ],
)
def test_a_damaged_log_says_no_time(tmp_path, line):
    out = tmp_path / "v.safetensors"
    working_folder(out).mkdir()
    (working_folder(out) / LOG).write_bytes(b'{"step": 5, "images_per_second": 2.5}\n')
    assert training_seconds(out, batch_size=2) == 4
    (working_folder(out) / LOG).write_bytes(line)
    assert training_seconds(out, batch_size=2) == 0
