"""Traces of trainings: they change nothing, survive a kill, and say what was."""

import functools
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest
import torch

from latentmap.diagnostics import diagnose
from latentmap.diagnostics.trace_figures import (
    motion_of,
    paths_plot,
    save_animation,
    variances_plot,
)
from latentmap.diagnostics.trace_section import trace_section
from latentmap.diagnostics.traces import Trace
from latentmap.encoders import load
from latentmap.encoders.training import runs
from latentmap.encoders.training.on_images import train_on_images
from latentmap.encoders.training.tracing import Tracing
from latentmap.encoders.training.train_vae import VAESettings
from latentmap.errors import ModelError, OutputError
from latentmap.images import open_images
from latentmap.report import save_figure
from latentmap.report.page import render
from latentmap.report.parts import Report

# What a run goes on from is looked at here, after its end too.
Run = functools.partial(runs.Run, keep_checkpoint=True)

DENSE = {"architecture": "dense", "image_shape": [1, 8, 8], "latent_dim": 3, "widths": [16]}
CONV = {"architecture": "conv", "image_shape": [1, 8, 8], "latent_dim": 3, "widths": [4, 4]}
SPLIT = {"image_shape": [1, 8, 8], "latent_dim": 3, "width": 2, "embedding": 8}
SETTINGS = VAESettings("vae", CONV, epochs=3, batch_size=16, learning_rate=1e-3, seed=7)


@pytest.fixture
def images(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (70, 8, 8), dtype=np.uint8)
    np.save(tmp_path / "images.npy", np.sort(pixels, axis=2))
    return open_images(tmp_path / "images.npy")


def train(images, folder, name, settings=SETTINGS, *, labels=None, resume=False, followed=4):
    watch = Tracing(folder / f"{name}.trace", labels=labels, images=followed)
    run = Run(folder / f"{name}.safetensors", resume=resume)
    return train_on_images(images, settings, run, watch=watch), Trace.load(watch.out)


def same(a, b):
    for part in ("steps", "epochs", "paths"):
        for name, values in vars(getattr(a, part)).items():
            np.testing.assert_array_equal(values, getattr(getattr(b, part), name), err_msg=name)


@pytest.mark.parametrize(
    ("family", "config"), [("vae", DENSE), ("vae", CONV), ("split-vae", SPLIT)]
)
def test_a_traced_training_trains_the_same_model(tmp_path, images, family, config):
    settings = VAESettings(family, config, epochs=2, batch_size=16, learning_rate=1e-3)
    plain = train_on_images(images, settings, Run(tmp_path / "plain.safetensors"))
    traced, trace = train(images, tmp_path, "traced", settings)
    assert traced.fingerprint == plain.fingerprint
    assert trace.record["model_fingerprint"] == traced.fingerprint
    assert trace.epochs.number.tolist() == [0, 4, 8]
    assert trace.paths.mean.shape == (len(trace.paths.number), 4, 3)


def test_a_killed_and_resumed_training_leaves_the_trace_of_the_uninterrupted_one(tmp_path, images):
    class Stop(Exception):
        pass

    def stop_at(count):
        def stage(name, unit="images"):
            from contextlib import nullcontext

            def progress(done, total):
                if name == "training" and done >= count:
                    raise Stop

            return nullcontext(progress)

        return stage

    _, whole = train(images, tmp_path, "whole")
    watch = Tracing(tmp_path / "cut.trace", images=4)
    with pytest.raises(Stop):
        run = Run(tmp_path / "cut.safetensors", stage=stop_at(6 * 16))
        train_on_images(images, SETTINGS, run, watch=watch)
    assert not watch.out.exists()
    _, resumed = train(images, tmp_path, "cut", resume=True)
    same(whole, resumed)


def test_a_run_that_is_made_longer_goes_on_as_it_began(tmp_path, images):
    train(images, tmp_path, "a")
    _, longer = train(images, tmp_path, "a", replace(SETTINGS, epochs=5), resume=True)
    _, whole = train(images, tmp_path, "b", replace(SETTINGS, epochs=5))
    same(longer, whole)


def test_the_last_epoch_is_what_diagnose_says_of_the_model(tmp_path, images):
    model, trace = train(images, tmp_path, "a", replace(SETTINGS, normalise=False))
    found = diagnose(model, images)  # All 70 images are in the sample.
    for name in ("mean_variance", "posterior_variance", "kl"):
        last = getattr(trace.epochs, name)[-1]
        np.testing.assert_allclose(last, found.values(name), rtol=1e-4, atol=1e-6)


def test_gains_and_paths_are_those_of_the_network_at_the_end(tmp_path, images):
    model, trace = train(images, tmp_path, "a", replace(SETTINGS, normalise=False))
    x = torch.stack([torch.from_numpy(images.read(i)) for i in range(70)]).permute(0, 3, 1, 2) / 255
    codes = model.posterior(x).mean
    chosen = [int(i) for i in trace.ids]
    np.testing.assert_allclose(trace.paths.mean[-1], codes[chosen].numpy(), rtol=1e-4, atol=1e-6)
    assert trace.record["sample"] == 70
    if trace.record["gain_images"] == 70:
        base = (model.decode(codes) - x).square().mean()
        for i in range(3):
            moved = codes.clone()
            moved[:, i] = codes[:, i].mean()
            gain = (model.decode(moved) - x).square().mean() - base
            assert trace.epochs.gain[-1, i] == pytest.approx(float(gain), rel=1e-3, abs=1e-7)


def test_images_are_followed_by_label(tmp_path, images):
    labels = ["even" if i % 2 == 0 else "odd" for i in range(70)]
    _, trace = train(images, tmp_path, "a", labels=labels, followed=3)
    assert trace.labels == ("even",) * 3 + ("odd",) * 3
    assert [int(name) % 2 for name in trace.ids] == [0, 0, 0, 1, 1, 1]


def test_a_resumed_training_follows_the_same_labels_and_no_others(tmp_path, images):
    labels = [str(i % 3) for i in range(70)]
    shorter = replace(SETTINGS, steps=5)
    _, whole = train(images, tmp_path, "whole", labels=labels, followed=2)
    train(images, tmp_path, "cut", shorter, labels=labels, followed=2)
    longer = replace(SETTINGS, steps=12)
    _, resumed = train(images, tmp_path, "cut", longer, labels=labels, followed=2, resume=True)
    _, plain = train(images, tmp_path, "plain", longer, labels=labels, followed=2)
    same(plain, resumed)
    assert resumed.labels == whole.labels == ("0", "0", "1", "1", "2", "2")
    assert resumed.ids == whole.ids
    with pytest.raises(ModelError, match=r"trace_labels was '\w+', not '\w+'"):
        train(images, tmp_path, "cut", longer, labels=labels[::-1], followed=2, resume=True)
    with pytest.raises(ModelError, match=r"trace_labels was '\w+', not None"):
        train(images, tmp_path, "cut", longer, followed=2, resume=True)


@pytest.mark.parametrize(
    ("labels", "followed", "expected", "told"),
    [
        # 300 identities: one image of each of 200.
        ([str(i) for i in range(300)] * 2, 10, [1] * 200, "1 of the images of each of 200 of 300"),
        ([str(i % 30) for i in range(600)], 10, [6] * 30, "6 of the images of each of 30 of 30"),
        ([str(i % 20) for i in range(600)], 10, [10] * 20, None),
        # A label with fewer images is followed by those that it has.
        (["a"] * 3 + ["b"] * 597, 10, [3, 10], None),
    ],
)
def test_the_followed_images_of_all_labels_are_bounded(labels, followed, expected, told):
    said = []
    watch = Tracing("x.trace", labels=labels, images=followed, notify=said.append)
    drawn = np.random.default_rng(0).permutation(len(labels))
    chosen = watch._of_each(np.array(labels), drawn)
    assert len(set(chosen.tolist())) == len(chosen)
    _, counts = np.unique(np.array(labels)[chosen], return_counts=True)
    assert sorted(counts.tolist()) == expected
    assert [told in line for line in said] == ([] if told is None else [True])


def test_labels_are_colours_in_natural_order(tmp_path, images):
    labels = [str(i % 12) for i in range(70)]
    _, trace = train(images, tmp_path, "a", labels=labels, followed=1)
    motion = motion_of(trace)
    assert motion.names == tuple(map(str, range(12)))
    assert [motion.names[group] for group in motion.groups] == list(trace.labels)
    assert motion.legend == list(motion.names)
    page = render(Report("r", [trace_section(trace, motion, name="a")]))
    assert "Colours are labels" in page
    many = replace(motion, names=tuple(f"{i:050}" for i in range(25)))
    assert many.legend == ["0" * 24 + "..."] * 20


def test_a_trace_is_read_as_it_was_written_and_damage_is_refused(tmp_path, images):
    _, trace = train(images, tmp_path, "a")
    trace.save(tmp_path / "again.trace")
    same(trace, Trace.load(tmp_path / "again.trace"))
    data = bytearray((tmp_path / "again.trace").read_bytes())
    data[-5] ^= 1
    (tmp_path / "again.trace").write_bytes(data)
    with pytest.raises(ModelError, match=r"again\.trace"):
        Trace.load(tmp_path / "again.trace")
    with pytest.raises(ModelError, match="not a trace"):
        Trace.load(tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    ("part", "name", "change", "message"),
    [
        ("paths", "variance", lambda values: -values, "a variance is negative"),
        ("steps", "number", lambda values: values.astype(np.float32), "or no numbers"),
        ("epochs", "gain", lambda values: values * np.nan, "or no numbers"),
        ("paths", "mean", lambda values: values[:, :1], "or no numbers"),
    ],
)
def test_a_trace_that_contradicts_itself_is_refused(tmp_path, images, part, name, change, message):
    _, trace = train(images, tmp_path, "a")
    rows = getattr(trace, part)
    replace(trace, **{part: replace(rows, **{name: change(getattr(rows, name))})}).save(
        tmp_path / "b.trace"
    )
    with pytest.raises(ModelError, match=message):
        Trace.load(tmp_path / "b.trace")


def test_a_trace_of_one_variable_has_no_plane(tmp_path, images):
    _, trace = train(images, tmp_path, "a", replace(SETTINGS, config={**CONV, "latent_dim": 1}))
    with pytest.raises(ModelError, match="of one variable, and a plane needs two"):
        motion_of(trace)


def test_a_run_with_another_trace_is_not_resumed(tmp_path, images):
    train(images, tmp_path, "a")
    with pytest.raises(ModelError, match="trace_images was 4, not 5"):
        train(images, tmp_path, "a", resume=True, followed=5)


def test_figures_film_and_page_are_drawn(tmp_path, images):
    _, trace = train(images, tmp_path, "a", labels=["x<b>"] * 70)
    motion = motion_of(trace)
    assert motion.variables == tuple(trace.leading[:2])
    # radius^2 is the geometric mean of the two variances.
    pair = trace.paths.variance[-1][:, list(motion.variables)]
    np.testing.assert_allclose(motion.radii[-1] ** 2, np.sqrt(pair.prod(1)), rtol=1e-5)
    save_figure(paths_plot(motion), tmp_path / "paths.png")
    save_animation(motion, tmp_path / "film.webp")
    for name in ("paths.png", "film.webp"):
        assert (tmp_path / name).stat().st_size > 1000
    save_figure(variances_plot(trace), tmp_path / "variances.png")
    page = render(Report("r", [trace_section(trace, motion, name="a")]))
    assert 'class="film"' in page
    assert "x<b>" not in page
    with pytest.raises(OutputError, match=r"must end in one of \.webp, \.gif, \.mp4"):
        save_animation(motion, tmp_path / "film.avi")
    with pytest.raises(ModelError, match="two different variables of 0 to 2, not 1 and 1"):
        motion_of(trace, (1, 1))


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
def test_a_film_of_mp4_has_every_moment_and_rests_on_the_last(tmp_path, images):
    _, trace = train(images, tmp_path, "a")
    motion = motion_of(trace)
    save_animation(motion, tmp_path / "film.mp4")
    asked = ["-count_frames", "-show_entries", "stream=nb_read_frames,width,height"]
    found = subprocess.run(
        ["ffprobe", "-v", "error", *asked, "-of", "csv=p=0", tmp_path / "film.mp4"],
        capture_output=True,
        check=True,
        text=True,
    )
    assert found.stdout.strip() == f"480,480,{len(motion.steps) + 24}"


def test_a_film_of_mp4_without_ffmpeg_or_with_one_that_fails_is_refused(
    tmp_path, images, monkeypatch
):
    _, trace = train(images, tmp_path, "a")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OutputError, match="needs ffmpeg, which is not there: install it, or end"):
        save_animation(motion_of(trace), tmp_path / "film.mp4")
    (tmp_path / "ffmpeg").write_text("#!/bin/sh\necho no encoder >&2; exit 3\n")
    (tmp_path / "ffmpeg").chmod(0o755)
    with pytest.raises(OutputError, match="ffmpeg ended with 3: no encoder"):
        save_animation(motion_of(trace), tmp_path / "film.mp4")
    assert not (tmp_path / "film.mp4").exists()


@pytest.mark.parametrize("penalty", ["quadratic", "none"])
def test_without_sampling_posteriors_are_points(tmp_path, images, penalty):
    settings = VAESettings(
        "vae", DENSE, epochs=2, batch_size=16, learning_rate=1e-3, sampling=False, penalty=penalty
    )
    model = train_on_images(images, settings, Run(tmp_path / "a.safetensors"))
    found = diagnose(load(tmp_path / "a.safetensors"), images)
    assert model.fingerprint == load(tmp_path / "a.safetensors").fingerprint
    assert found.values("posterior_variance").max() < 1e-3
    np.testing.assert_allclose(found.values("mean_variance"), 1, rtol=1e-3)


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ModelError, match="full KL divergence means nothing"):
        VAESettings("vae", DENSE, epochs=1, sampling=False)
    with pytest.raises(ModelError, match="one of full, quadratic, none, not 'half'"):
        VAESettings("vae", DENSE, epochs=1, penalty="half")
