"""What is imported makes the images that the foreign network made, whatever form it came in."""

import pickle

import numpy as np
import pytest
import torch
import torch.nn.functional as functional

from latentmap.encoders.checkpoints.foreign import open_foreign
from latentmap.encoders.checkpoints.formats import recognise
from latentmap.encoders.checkpoints.tensorflow_names import stylegan2_name
from latentmap.encoders.checkpoints.values import TensorView
from latentmap.encoders.checkpoints.views import translate
from tests.encoders import foreign_writers, nvlabs_writer, tensorflow_writer
from tests.encoders.foreign_writers import (
    STYLEGAN1,
    STYLEGAN2,
    STYLEGAN3_R,
    STYLEGAN3_T,
    images_of,
    random_weights,
    save,
)

EMBED = {"label": "embed", "c_dim": 3, "embed_dim": 10}
CONCAT = {"label": "concat", "c_dim": 3}


def converted(path):
    return recognise(open_foreign(path)).convert()


def assert_same_generator(result, family, config, weights, *, tolerance=0.0):
    assert (result.family, result.config) == (family, config)
    assert result.weights.keys() == weights.keys()
    for name, value in weights.items():
        assert result.weights[name].dtype == torch.float32
        torch.testing.assert_close(
            result.weights[name], value, rtol=0, atol=tolerance, msg=lambda m, n=name: f"{n}: {m}"
        )
    images = images_of(family, config, weights)
    assert images.std() > 0.1
    torch.testing.assert_close(
        images_of(result.family, result.config, result.weights), images, rtol=0, atol=1e-4
    )


def write_nvlabs(path, config, weights, **options):
    network = nvlabs_writer.generator(config, weights)
    others = {"training_set_kwargs": nvlabs_writer.EasyDict(path="x"), "augment_pipe": None}
    contents = {"G": None, "D": nvlabs_writer.discriminator(), "G_ema": network, **others}
    nvlabs_writer.write(path, contents, **options)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("numpy_core", ["numpy.core", "numpy._core"])
def test_a_persistence_pickle_is_converted_whatever_its_protocol(tmp_path, protocol, numpy_core):
    weights = random_weights("stylegan2", STYLEGAN2)
    path = tmp_path / "network"
    write_nvlabs(path, STYLEGAN2, weights, protocol=protocol, numpy_core=numpy_core)
    assert_same_generator(converted(path), "stylegan2", STYLEGAN2, weights)


@pytest.mark.parametrize(
    "changes",
    [
        {"architecture": "orig"},
        {"architecture": "resnet", "conv_clamp": 256.0},
        {"conv_clamp": 0.5},
        {"mapping_multiplier": 0.1},
        {"mapping_layers": 1, "mapping_dim": 10},
        {"image_shape": [1, 32, 32]},
        {"image_shape": [3, 4, 4], "channels": [7], "architecture": "orig"},
        EMBED,
    ],
)
def test_the_configuration_of_a_persistence_pickle_is_found(tmp_path, changes):
    config = {**STYLEGAN2, **changes}
    weights = random_weights("stylegan2", config)
    path = tmp_path / "network"
    write_nvlabs(path, config, weights)
    assert_same_generator(converted(path), "stylegan2", config, weights)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_float32(tmp_path, dtype):
    stored = {n: v.to(dtype) for n, v in random_weights("stylegan2", STYLEGAN2).items()}
    weights = {name: value.float() for name, value in stored.items()}
    write_nvlabs(tmp_path / "pickle", STYLEGAN2, stored)
    assert_same_generator(converted(tmp_path / "pickle"), "stylegan2", STYLEGAN2, weights)
    save(foreign_writers.rosinality_converted(STYLEGAN2, stored), tmp_path / "zip")
    assert_same_generator(converted(tmp_path / "zip"), "stylegan2", STYLEGAN2, weights)


def test_tensors_that_were_on_a_gpu_are_read_without_one(tmp_path):
    weights = random_weights("stylegan2", STYLEGAN2)
    with foreign_writers.on_cuda():
        write_nvlabs(tmp_path / "pickle", STYLEGAN2, weights)
    assert b"cuda:0" in (tmp_path / "pickle").read_bytes()
    assert_same_generator(converted(tmp_path / "pickle"), "stylegan2", STYLEGAN2, weights)
    contents = foreign_writers.rosinality_converted(STYLEGAN2, weights)
    for legacy in (False, True):
        save(contents, tmp_path / "torch", cuda=True, legacy=legacy)
        assert b"cuda:0" in (tmp_path / "torch").read_bytes()
        assert_same_generator(converted(tmp_path / "torch"), "stylegan2", STYLEGAN2, weights)


def test_a_copy_of_the_repository_and_parallel_training_change_the_names_only(tmp_path):
    weights = random_weights("stylegan2", STYLEGAN2)
    network = nvlabs_writer.generator(STYLEGAN2, weights)
    parallel = nvlabs_writer.other_network("DistributedDataParallel")
    parallel.state["_modules"]["module"] = network
    path = tmp_path / "network"
    nvlabs_writer.write(path, {"G_ema": parallel}, prefix="third_party.stylegan.")
    assert_same_generator(converted(path), "stylegan2", STYLEGAN2, weights)


def test_a_generator_without_noise_gets_maps_and_strengths_of_zero(tmp_path):
    weights = random_weights("stylegan2", STYLEGAN2)
    quiet = {n: value * 0 if "noise" in n else value for n, value in weights.items()}
    silent = {name: value for name, value in weights.items() if "noise" not in name}
    path = tmp_path / "network"
    write_nvlabs(path, STYLEGAN2, silent)
    assert_same_generator(converted(path), "stylegan2", STYLEGAN2, quiet)


@pytest.mark.parametrize("config", [STYLEGAN3_T, STYLEGAN3_R], ids=["T", "R"])
@pytest.mark.parametrize("changes", [{}, {"conv_clamp": None}, EMBED], ids=str)
def test_a_stylegan3_pickle_is_converted(tmp_path, config, changes):
    config = {**config, **changes}
    weights = random_weights("stylegan3", config)
    path = tmp_path / "network"
    network = nvlabs_writer.signal_generator(config, weights)
    contents = {"G": None, "D": nvlabs_writer.discriminator(), "G_ema": network}
    nvlabs_writer.write(path, contents)
    result = converted(path)
    assert_same_generator(result, "stylegan3", config, weights)
    assert result.notes == ()


def test_the_sampling_of_a_stylegan3_is_that_of_its_arguments(tmp_path):
    changes = {"critical": 1, "first_cutoff": 1.5, "margin": 8, "output_scale": 0.5}
    config = STYLEGAN3_T | changes | {"first_stopband": 4.0, "last_stopband_rel": 1.5}
    weights = random_weights("stylegan3", config)
    sampling = {
        "num_critical": 1,
        "first_cutoff": 1.5,
        "first_stopband": 4.0,
        "last_stopband_rel": 1.5,
        "margin_size": 8,
        "output_scale": 0.5,
    }
    network = nvlabs_writer.signal_generator(config, weights, **sampling)
    nvlabs_writer.write(tmp_path / "flat", {"G_ema": network})
    kept = nvlabs_writer.EasyDict(sampling)
    network = nvlabs_writer.signal_generator(config, weights, synthesis_kwargs=kept)
    nvlabs_writer.write(tmp_path / "apart", {"G_ema": network})
    for name in ("flat", "apart"):
        assert_same_generator(converted(tmp_path / name), "stylegan3", config, weights)


def test_bare_tensors_of_stylegan3_are_converted_with_a_note(tmp_path):
    weights = random_weights("stylegan3", STYLEGAN3_R)
    save({"G_ema": weights}, tmp_path / "network")
    result = converted(tmp_path / "network")
    assert_same_generator(result, "stylegan3", STYLEGAN3_R, weights)
    assert any("how signals are sampled and bounded: as in the pub" in n for n in result.notes)


def as_modules(tensors):
    """The tensors in a tree of torch's own modules."""
    root = torch.nn.Module()
    for name, value in tensors.items():
        *path, part = name.split(".")
        module = root
        for step in path:
            if step not in module._modules:
                module.add_module(step, torch.nn.Module())
            module = module.get_submodule(step)
        module.register_parameter(part, torch.nn.Parameter(value))
    return root


@pytest.mark.parametrize("legacy", [False, True])
def test_modules_that_were_saved_whole_are_converted(tmp_path, legacy):
    weights = random_weights("stylegan2", STYLEGAN2)
    path = tmp_path / "network"
    save(as_modules(weights), path, legacy=legacy)
    assert_same_generator(converted(path), "stylegan2", STYLEGAN2, weights)


def test_a_persistence_object_that_torch_saved_alone_is_converted(tmp_path):
    config = {**STYLEGAN2, "conv_clamp": 256.0}
    weights = random_weights("stylegan2", config)
    path = tmp_path / "network"
    nvlabs_writer.save(path, nvlabs_writer.generator(config, weights))
    assert_same_generator(converted(path), "stylegan2", config, weights)


def test_bare_tensors_are_converted_with_a_note_on_what_they_do_not_say(tmp_path):
    weights = random_weights("stylegan2", STYLEGAN2)
    path = tmp_path / "network"
    save({"G": {f"module.{name}": value for name, value in weights.items()}}, path)
    result = converted(path)
    assert_same_generator(result, "stylegan2", STYLEGAN2, weights)
    assert result.notes == (
        "the file holds no moving average G_ema: G was taken",
        "the file does not say whether activations were clamped: they are not",
    )


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"architecture": "resnet", "conv_clamp": 256.0},
        {"architecture": "orig"},
        EMBED,
        CONCAT,
    ],
)
def test_a_tensorflow_pickle_of_stylegan2_is_converted(tmp_path, protocol, changes):
    config = {**STYLEGAN2, **changes}
    weights = random_weights("stylegan2", config)
    variables = tensorflow_writer.stylegan2_variables(config, weights)
    arguments = {"resample_kernel": [1, 3, 3, 1], "mapping_lrmul": 0.01, "randomize_noise": True}
    network = tensorflow_writer.generator(
        "Gs", config, variables, conv_clamp=config["conv_clamp"], **arguments
    )
    path = tmp_path / "network"
    tensorflow_writer.write(path, (network, network, network), protocol=protocol)
    # The style biases are stored without their 1, which costs the last digit.
    assert_same_generator(converted(path), "stylegan2", config, weights, tolerance=1e-6)


@pytest.mark.parametrize("count", [3, 4])
@pytest.mark.parametrize("changes", [{}, CONCAT])
def test_a_tensorflow_pickle_of_stylegan1_is_converted(tmp_path, count, changes):
    config = {**STYLEGAN1, **changes}
    weights = random_weights("stylegan1", config)
    variables = tensorflow_writer.stylegan1_variables(config, weights)
    network = tensorflow_writer.generator("Gs", config, variables)
    path = tmp_path / "network"
    tensorflow_writer.write(path, (network,) * count)
    assert_same_generator(converted(path), "stylegan1", config, weights)


@pytest.mark.parametrize(
    ("lod", "more", "notes"),
    [
        (None, {}, ()),  # As StyleGAN2-ADA leaves it.
        (0.0, {}, ()),
        (
            1.5,
            {},
            ("the file's lod is not 0, but its synthesis does not grow: it was passed over",),
        ),
        (
            0.0,
            {"pl_mean": np.float32(2), "counter": np.int64(7)},
            (
                "variables that neither the mapping nor the synthesis has were passed over: "
                "counter, pl_mean",
            ),
        ),
    ],
)
def test_variables_of_the_whole_tensorflow_network_stop_no_import(tmp_path, lod, more, notes):
    weights = random_weights("stylegan2", STYLEGAN2)
    variables = tensorflow_writer.stylegan2_variables(STYLEGAN2, weights) | more
    network = tensorflow_writer.generator("Gs", STYLEGAN2, variables, lod=lod)
    path = tmp_path / "network"
    tensorflow_writer.write(path, (network, tensorflow_writer.discriminator(), network))
    result = converted(path)
    assert_same_generator(result, "stylegan2", STYLEGAN2, weights, tolerance=1e-6)
    assert result.notes == notes


@pytest.mark.parametrize(("fused_scale", "fused_from"), [(True, 4), (False, 1024)])
def test_a_tensorflow_pickle_says_whether_doubling_was_fused(tmp_path, fused_scale, fused_from):
    weights = random_weights("stylegan1", STYLEGAN1)
    variables = tensorflow_writer.stylegan1_variables(STYLEGAN1, weights, fused_from=fused_from)
    network = tensorflow_writer.generator("Gs", STYLEGAN1, variables, fused_scale=fused_scale)
    path = tmp_path / "network"
    tensorflow_writer.write(path, network)
    assert_same_generator(converted(path), "stylegan1", STYLEGAN1, weights)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_converted_file_of_rosinality_is_converted(tmp_path, legacy):
    weights = random_weights("stylegan2", STYLEGAN2)
    path = tmp_path / "network"
    save(foreign_writers.rosinality_converted(STYLEGAN2, weights), path, legacy=legacy)
    result = converted(path)
    assert_same_generator(result, "stylegan2", STYLEGAN2, weights)
    assert result.notes == ()


@pytest.mark.parametrize("legacy", [False, True])
def test_a_training_file_of_rosinality_gets_the_mean_code_of_random_z(tmp_path, legacy):
    weights = random_weights("stylegan2", STYLEGAN2)
    path = tmp_path / "network"
    save(foreign_writers.rosinality_training(STYLEGAN2, weights), path, legacy=legacy)
    result = converted(path)
    assert result.notes == ("the mean w is not in the file: it is that of 10000 random z, seed 0",)
    # The formula of the mapping, in float64.
    generator = torch.Generator().manual_seed(0)
    batches = [torch.randn(1000, STYLEGAN2["z_dim"], generator=generator) for _ in range(10)]
    h = torch.cat(batches).double()
    h = h / h.square().mean(1, keepdim=True).sqrt()
    for i in range(STYLEGAN2["mapping_layers"]):
        weight, bias = (weights[f"mapping.fc{i}.{part}"].double() for part in ("weight", "bias"))
        h = functional.leaky_relu(h @ weight.T * 0.01 / weight.shape[1] ** 0.5 + 0.01 * bias, 0.2)
        h = h * 2**0.5
    mean = h.mean(0).float()
    torch.testing.assert_close(result.weights["mapping.w_avg"], mean, rtol=1e-4, atol=1e-9)
    weights["mapping.w_avg"] = result.weights["mapping.w_avg"]
    assert_same_generator(result, "stylegan2", STYLEGAN2, weights)


def test_the_mean_code_of_a_generator_with_classes_is_that_of_random_ones(tmp_path):
    config = {**STYLEGAN2, **EMBED}
    weights = random_weights("stylegan2", config)
    del weights["mapping.w_avg"]
    path = tmp_path / "network"
    write_nvlabs(path, config, weights)
    result = converted(path)
    weights["mapping.w_avg"] = result.weights["mapping.w_avg"]
    assert_same_generator(result, "stylegan2", config, weights)


@pytest.mark.parametrize(
    ("family", "config", "make", "absent"),
    [
        ("stylegan2", STYLEGAN2, foreign_writers.rosinality_converted, 7),
        ("stylegan1", STYLEGAN1, foreign_writers.lernapparat, 12),
        ("stylegan1", STYLEGAN1, foreign_writers.huangzh13, 12),
    ],
)
def test_noise_maps_that_the_file_lacks_are_drawn_the_same_every_time(
    tmp_path, family, config, make, absent
):
    weights = random_weights(family, config)
    contents = make(config, weights)
    for name in [name for name in contents.get("g_ema", ()) if name.startswith("noises.")]:
        del contents["g_ema"][name]
    path = tmp_path / "network"
    save(contents, path)
    result = converted(path)
    note = f"{absent} noise maps are not in the file: they were drawn from a normal distribution"
    assert result.notes[-1].startswith(note)
    again = converted(path)
    for name in weights:
        assert torch.equal(result.weights[name], again.weights[name])
        if name.endswith("noise_const"):
            weights[name] = result.weights[name]
            assert 0.4 < weights[name].std() < 1.6
    # What the file does not say beside them is told by other tests.
    config = {**config, **epsilon_of(result)}
    assert_same_generator(result, family, config, weights)


def epsilon_of(result):
    """What the configuration says of the instance normalisation, if anything."""
    name = "instance_norm_epsilon"
    return {name: result.config[name]} if name in result.config else {}


@pytest.mark.parametrize(
    ("family", "config", "make"),
    [
        ("stylegan2", STYLEGAN2, foreign_writers.genforce_stylegan2),
        ("stylegan2", {**STYLEGAN2, **CONCAT}, foreign_writers.genforce_stylegan2),
        ("stylegan1", STYLEGAN1, foreign_writers.genforce_stylegan1),
    ],
)
@pytest.mark.parametrize("training", [False, True])
def test_a_file_of_genforce_is_converted(tmp_path, family, config, make, training):
    weights = random_weights(family, config)
    state = make(config, weights)
    older = {name: value + 1 for name, value in state.items()}
    contents = {
        "generator": older,
        "discriminator": {"input0.weight": torch.ones(2, 2)},
        "generator_smooth": state,
    }
    path = tmp_path / "network"
    save({"models": contents, "running_metadata": {"iter": 3}} if training else contents, path)
    assert_same_generator(converted(path), family, config, weights, tolerance=1e-6)


@pytest.mark.parametrize("space", ["w", "w+"])
def test_the_generator_of_an_encoders_file_is_converted(tmp_path, space):
    weights = random_weights("stylegan2", STYLEGAN2)
    encoder = {"input_layer.0.weight": torch.ones(4, 3, 3, 3)}
    contents = foreign_writers.around_rosinality(STYLEGAN2, weights, encoder=encoder)
    if space == "w":
        contents["latent_avg"] = contents["latent_avg"][0]
    path = tmp_path / "network"
    save(contents, path)
    assert_same_generator(converted(path), "stylegan2", STYLEGAN2, weights)


def test_a_weight_that_doubles_the_size_is_turned_from_tensorflows_convolution_to_ours():
    # There: zeros between the pixels, then a convolution with the stored weight.
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, 2, 5, 5, generator=generator)
    stored = torch.randn(3, 3, 2, 4, generator=generator)
    spread = torch.zeros(1, 2, 9, 9)
    spread[:, :, ::2, ::2] = x
    there = functional.conv2d(spread, stored.permute(3, 2, 0, 1), padding=2)
    view = TensorView((3, 3, 2, 4), torch.float32, lambda: stored)
    name = "synthesis/8x8/Conv0_up/weight"
    tensors, _ = translate({name: view}, lambda name: stylegan2_name(name, resolution=8))
    weight = tensors["synthesis.b8.conv0.weight"]
    assert weight.shape == (4, 2, 3, 3)
    here = functional.conv_transpose2d(x, weight.load().transpose(0, 1), stride=2)
    torch.testing.assert_close(here, there)


@pytest.mark.parametrize("resolution", [64, 128])
def test_stylegan1_weights_are_turned_where_doubling_was_fused(tmp_path, resolution):
    weights = random_weights("stylegan1", STYLEGAN1)
    path = tmp_path / "network"
    state = foreign_writers.genforce_stylegan1(STYLEGAN1, weights)
    index = 2 * (resolution.bit_length() - 3)
    stored = state[f"synthesis.layer{index}.weight"]
    save({"generator_smooth": state}, path)
    weight = converted(path).weights[f"synthesis.b{resolution}.conv0.weight"]
    x = torch.randn(1, stored.shape[1], 6, 6, generator=torch.Generator().manual_seed(0))
    doubled = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
    if resolution < 128:
        there = functional.conv2d(doubled, stored, padding=1)
    else:
        # The kernel spread over two pixels, in one transposed convolution.
        padded = functional.pad(stored, (1, 1, 1, 1))
        kernel = sum(padded[:, :, i : i + 4, j : j + 4] for i in (0, 1) for j in (0, 1))
        there = functional.conv_transpose2d(x, kernel.transpose(0, 1), stride=2, padding=1)
    torch.testing.assert_close(functional.conv2d(doubled, weight, padding=1), there)


@pytest.mark.parametrize(
    ("form", "stored"), [("tensorflow", 0.0), ("genforce", 0.0), ("rosinality", 1.0)]
)
def test_a_style_that_changes_nothing_has_the_bias_one(tmp_path, form, stored):
    weights = random_weights("stylegan2", STYLEGAN2)
    path = tmp_path / "network"
    if form == "tensorflow":
        variables = tensorflow_writer.stylegan2_variables(STYLEGAN2, weights)
        for name in [name for name in variables if name.endswith("mod_bias")]:
            variables[name] = np.full_like(variables[name], stored)
        tensorflow_writer.write(path, (tensorflow_writer.generator("Gs", STYLEGAN2, variables),))
    else:
        make = {
            "genforce": foreign_writers.genforce_stylegan2,
            "rosinality": foreign_writers.rosinality_state,
        }[form]
        state = make(STYLEGAN2, weights)
        for name in [n for n in state if n.endswith(("style.bias", "modulation.bias"))]:
            state[name] = torch.full_like(state[name], stored)
        save(state, path)
    for name, value in converted(path).weights.items():
        assert not name.endswith("affine.bias") or torch.equal(value, torch.ones_like(value))


def test_nothing_in_a_pickle_is_run(tmp_path):
    # The writers' stand-ins raise when they are called, and their source text would end the tests.
    path = tmp_path / "network"
    write_nvlabs(path, STYLEGAN2, random_weights("stylegan2", STYLEGAN2))
    assert nvlabs_writer.SOURCE.encode() in path.read_bytes()
    with pytest.raises(ModuleNotFoundError):
        pickle.loads(path.read_bytes())
    converted(path)
