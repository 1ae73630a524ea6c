"""What a file does not say of its network is assumed and noted, or taken from who imports it."""

import numpy as np
import pytest
import torch

from latentmap.encoders import load
from latentmap.encoders.checkpoints.foreign import open_foreign
from latentmap.encoders.checkpoints.formats import recognise
from latentmap.encoders.checkpoints.importing import import_checkpoint
from latentmap.encoders.checkpoints.unsaid import Unsaid
from latentmap.encoders.native import save_model
from latentmap.errors import CheckpointError
from tests.encoders import foreign_writers, tensorflow_writer
from tests.encoders.foreign_writers import STYLEGAN1, STYLEGAN2, images_of, random_weights, save

WEIGHTS = random_weights("stylegan1", STYLEGAN1)


def port(path, make, *, mean=True, **changes):
    state = make(STYLEGAN1, WEIGHTS) | changes
    if not mean:
        state["truncation.avg_latent"] = torch.zeros(STYLEGAN1["latent_dim"])
    save(state, path)
    return path


def genforce(path, family, config):
    make = getattr(foreign_writers, f"genforce_{family}")
    save({"generator_smooth": make(config, random_weights(family, config))}, path)
    return path


def recognised(path):
    return recognise(open_foreign(path))


@pytest.mark.parametrize(
    ("make", "mean", "epsilon", "why"),
    [
        (foreign_writers.huangzh13, True, 1e-5, "1e-05 was assumed, as huangzh13's training has"),
        (foreign_writers.huangzh13, False, 1e-8, "1e-08 was assumed, as NVIDIA's networks have"),
        (foreign_writers.lernapparat, True, 1e-8, "1e-08 was assumed, as NVIDIA's networks have"),
    ],
)
def test_the_epsilon_of_a_port_is_assumed_and_noted(tmp_path, make, mean, epsilon, why):
    result = recognised(port(tmp_path / "port", make, mean=mean)).convert()
    assert result.config["instance_norm_epsilon"] == epsilon
    (note,) = [note for note in result.notes if "epsilon" in note]
    assert why in note
    assert "(--instance-norm-epsilon)" in note


def test_a_mean_code_of_zeros_is_none(tmp_path):
    result = recognised(port(tmp_path / "port", foreign_writers.huangzh13, mean=False)).convert()
    assert result.weights["mapping.w_avg"].abs().max() > 0
    assert "the mean w is not in the file: it is that of 10000 random z, seed 0" in result.notes


def test_an_epsilon_that_is_given_is_kept_in_the_model_and_decides_its_images(tmp_path):
    path = port(tmp_path / "port", foreign_writers.huangzh13)
    model, record = import_checkpoint(path, unsaid=Unsaid(instance_norm_epsilon=0.1))
    assert not any("epsilon" in note for note in record["imported"]["notes"])
    save_model(model, tmp_path / "model.safetensors", training=record)
    again = load(tmp_path / "model.safetensors")
    assert again.config["instance_norm_epsilon"] == 0.1
    codes = WEIGHTS["mapping.w_avg"][None]
    images = again.decode(codes)
    torch.testing.assert_close(images, model.decode(codes))
    other, _ = import_checkpoint(path)
    assert (images - other.decode(codes)).abs().max() > 0.01
    assert other.fingerprint != again.fingerprint


@pytest.mark.parametrize(
    ("family", "config", "notes"),
    [
        ("stylegan2", STYLEGAN2, ["final_tanh: none"]),
        ("stylegan1", STYLEGAN1, ["final_tanh: none", "fused_scale: auto, from 128 pixels on,"]),
    ],
)
def test_what_genforce_leaves_open_is_assumed_and_noted(tmp_path, family, config, notes):
    result = recognised(genforce(tmp_path / "file", family, config)).convert()
    assert [
        note.startswith(f"the file does not say {n}")
        for note, n in zip(result.notes, notes, strict=True)
    ] == [True] * len(notes)
    assert result.config == config


@pytest.mark.parametrize(("family", "config"), [("stylegan2", STYLEGAN2), ("stylegan1", STYLEGAN1)])
def test_a_final_tanh_that_is_given_is_part_of_the_model(tmp_path, family, config):
    path = genforce(tmp_path / "file", family, config)
    result = recognised(path).converted(Unsaid(final_tanh=True))
    assert result.config == {**config, "final_tanh": True}
    assert not any("tanh" in note for note in result.notes)
    plain = images_of(family, config, result.weights)
    assert torch.equal(images_of(family, result.config, result.weights), plain.tanh())
    without = recognised(path).converted(Unsaid(final_tanh=False))
    assert without.config == config
    assert not any("tanh" in note for note in without.notes)


@pytest.mark.parametrize(
    ("fused_scale", "turned"), [("auto", {128}), ("all", {8, 16, 32, 64, 128}), ("none", set())]
)
def test_the_weights_are_turned_where_doubling_is_said_to_be_fused(tmp_path, fused_scale, turned):
    state = foreign_writers.genforce_stylegan1(STYLEGAN1, WEIGHTS)
    save({"generator_smooth": state}, tmp_path / "file")
    result = recognised(tmp_path / "file").converted(Unsaid(fused_scale=fused_scale))
    assert not any("fused" in note for note in result.notes)
    for j, r in foreign_writers.sizes_of(STYLEGAN1):
        stored = state[f"synthesis.layer{2 * (j + 1)}.weight"]
        weight = result.weights[f"synthesis.b{r}.conv0.weight"]
        assert torch.equal(weight, stored.flip(2, 3) if r in turned else stored), r


def test_what_a_file_does_not_leave_open_cannot_be_given(tmp_path):
    path = port(tmp_path / "port", foreign_writers.huangzh13)
    with pytest.raises(CheckpointError, match="--final-tanh and --fused-scale have no eff"):
        recognised(path).converted(Unsaid(final_tanh=True, fused_scale="all"))
    path = genforce(tmp_path / "file", "stylegan2", STYLEGAN2)
    with pytest.raises(CheckpointError, match="epsilon has no effect on a StyleGAN2 gene"):
        recognised(path).converted(Unsaid(instance_norm_epsilon=1e-5))
    variables = tensorflow_writer.stylegan1_variables(STYLEGAN1, WEIGHTS)
    network = tensorflow_writer.generator("Gs", STYLEGAN1, variables)
    tensorflow_writer.write(tmp_path / "tensorflow", (network,))
    with pytest.raises(CheckpointError, match="--fused-scale has no effect on files of NVIDIA's"):
        recognised(tmp_path / "tensorflow").converted(Unsaid(fused_scale="none"))


def test_noise_that_was_drawn_anew_is_told(tmp_path):
    variables = tensorflow_writer.stylegan1_variables(STYLEGAN1, WEIGHTS)
    for randomize, told in ((True, True), (False, False), (None, False)):
        given = {} if randomize is None else {"randomize_noise": randomize}
        network = tensorflow_writer.generator("Gs", STYLEGAN1, variables, **given)
        tensorflow_writer.write(tmp_path / "file", (network,))
        notes = recognised(tmp_path / "file").convert().notes
        assert any("draw its noise anew for every image" in note for note in notes) == told
    result = recognised(port(tmp_path / "port", foreign_writers.huangzh13)).convert()
    assert any("seed 0; --noise random draws others" in note for note in result.notes)


def test_a_fused_scale_of_another_kind_is_damage(tmp_path):
    variables = tensorflow_writer.stylegan1_variables(STYLEGAN1, WEIGHTS)
    network = tensorflow_writer.generator("Gs", STYLEGAN1, variables, fused_scale=np.float32(3))
    tensorflow_writer.write(tmp_path / "file", (network,))
    with pytest.raises(CheckpointError, match="not auto, True or False: the file is damaged"):
        recognised(tmp_path / "file").convert()
