"""Every option and argument of every command, with values that nobody means.

Each is given alone, beside a call that is right and quick. Whatever comes of it is a result, or one
line and exit code 1 or 2; what is refused leaves no trace, and no input is ever changed.
"""

import json
import os
import shlex
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from latentmap.cli import demo
from latentmap.cli.declaring import Command
from latentmap.cli.kinds import (
    Count,
    InputFile,
    InputFolder,
    InputPath,
    NumberRange,
    OutputFile,
    OutputFolder,
    Reference,
    Text,
)
from latentmap.cli.main import main
from latentmap.encoders import build
from latentmap.encoders.native import save_model
from latentmap.images import open_images
from tests.cli.every_command import EVERY
from tests.encoders import foreign_writers

# A right and quick call of each command; what it writes is called new or new.*.
CALLS = {
    "demo": "--out new --samples 200 --cache new-cache",
    "images index": "folder --out new.index",
    "images pack": "--data few.npy --out new.h5",
    "images show": "--data few.npy --ids few.csv --missing skip",
    "images sprites": "--n 2 --out new.npz",
    "train deteriorate": "mnist-vae --data few.npy --limit 20 --batch-size 10 --gamma 1 "
    "--growing 1 --after 0 --recovery 0 --trace new.trace --out new.safetensors",
    "train gan": "--data few.npy --limit 20 --batch-size 10 --steps 1 --latent-dim 2 --base 2 "
    "--widths 2 --discriminator-widths 2 --out new.safetensors",
    "train inversion": "--generator gan.safetensors --width 2 --steps 1 --held-out 2 "
    "--batch-size 2 --out new.safetensors",
    "train recipe": "recipe.json --data few.npy --out new.safetensors",
    "train split-vae": "--data few.npy --limit 20 --batch-size 10 --steps 1 --latent-dim 2 "
    "--width 2 --embedding 2 --trace new.trace --out new.safetensors",
    "train stylegan2": "--data few.npy --limit 8 --batch-size 4 --steps 1 --latent-dim 2 --width 2 "
    "--max-width 2 --augmentations none --out new.safetensors",
    "train vae": "--data few.npy --limit 20 --batch-size 10 --steps 1 --latent-dim 2 "
    "--architecture dense --widths 2 --gates --tau 60 --out new.safetensors",
    "import": "foreign.pt --out new.safetensors",
    "models list": "folder",
    "models show": "a.safetensors",
    "models check": "a.safetensors",
    "models normalise": "a.safetensors --data few.npy --limit 20 --out new.safetensors",
    "models prune": "a.safetensors --data few.npy --limit 20 --until-mse 1 --gain-images 5 "
    "--out new.safetensors --figure new.png --report new",
    "models prior": "a.safetensors --fit normal --data few.npy --limit 20 --out new.safetensors",
    "sample": "gan.safetensors -n 2 --codes-out new.npz --figure new.png --out new.h5",
    "encode": "a.safetensors --data few.npy --cache cache",
    "cache list": "--cache cache",
    "cache show": "ENTRY --cache cache",
    "cache commit": "--cache cache",
    "cache verify": "--cache cache --data few.npy",
    "cache export": "ENTRY --cache cache --format parquet --thumbnails 8 --data few.npy "
    "--out new.parquet",
    "cache rm": "ENTRY --yes --cache cache",
    "frames estimate": "--src gan.safetensors --dst a.safetensors -n 64 --no-write",
    "fit": "--src a.safetensors --dst b.safetensors --data few.npy --cache cache "
    "--attributes few.csv --probe odd --out new.safetensors --figure new.png --report new",
    "evaluate": "map.safetensors --data few.npy --attributes few.csv --probe odd,labels "
    "--labels few.csv:word --by odd,word --by odd --cache cache --report new",
    "apply": "map.safetensors --data few.npy --cache cache --figure new.png --codes-out new.npz",
    "map show": "map.safetensors",
    "map compose": "map.safetensors back.safetensors --out new.safetensors",
    "map export": "map.safetensors --format numpy --out new.npz",
    "map inverse": "map.safetensors --out new.safetensors",
    "map methods": "--src a.safetensors --dst b.safetensors --data few.npy --cache cache "
    "--report new",
    "map curve": "--src a.safetensors --dst b.safetensors --data few.npy --cache cache "
    "--pairs all --draws 1 --baselines pixels --figure new.png --report new",
    "map factors": "map.safetensors --data few.npy --cache cache --permutations 19 --folds 2 "
    "--figure new.png",
    "compare": "a.safetensors b.safetensors --data few.npy -n 20 --similarity-images 20 "
    "--permutations 19 --attributes few.csv --by odd --cache cache --figures new "
    "--report new-report",
    "invert": "a.safetensors --data few.npy --limit 2 --steps 1 --starts 1 --codes-out new.npz "
    "--figure new.png --report new",
    "support order": "a.safetensors --data few.npy --limit 20 -k 1 --cache cache --figures new",
    "support build": "a.safetensors --data few.npy -k 1 --members 2 --cache cache --out new.h5",
    "support show": "support.h5 --data few.npy --figures new --report new-report",
    "support compare": "--src a.safetensors --dst b.safetensors --data few.npy --members 16 "
    "--strategies kmeans --draws 2 --images 2 --cache cache --figure new.png",
    "explore": "a.safetensors b.safetensors --data few.npy --map map.safetensors --cache cache "
    "--support support.h5 --image folder/one.png --at view=own --figure new.png",
    "bench": "gan.safetensors --set own:2 --set few.npy:2 --steps 1 --starts 1 --cache cache "
    "--by brightness --figures new --report new-report",
    "diagnose": "a.safetensors --data few.npy --limit 20 --gain-images 5 --sampled "
    "--plane new-plane.png --scatter new-scatter.png --figure new.png --report new",
    "trace show": "a.trace --figure new.png --paths new-paths.png --animate new.webp "
    "--staircase new-staircase.png --report new",
}
STYLEGAN = {
    "image_shape": [1, 8, 8],
    "latent_dim": 2,
    "z_dim": 2,
    "c_dim": 0,
    "label": "none",
    "embed_dim": 0,
    "channels": [2, 2],
    "mapping_layers": 1,
    "mapping_multiplier": 0.01,
    "architecture": "skip",
    "conv_clamp": None,
}
GAN = "gan --base 2 --widths 2 --discriminator-widths 2 --batch-size 10 --steps 1 --latent-dim 2"
RECIPE = {
    "about": "A GAN of digits.",
    "data": "few.npy",
    "terms": "Free.",
    "options": "--split train",
    "steps": [GAN, "inversion --width 2 --steps 1 --held-out 2 --batch-size 2"],
    "test_split": "test",
    "defects": "All.",
}

HUGE = "9" * 20
ODD = ["", " ", "a\0b", "x" * 5000]
ODD_NUMBERS = [*ODD, "-1", HUGE, "9" * 400, "1e400", "-inf", "nan", "1e-400", "1_0", "\u0663", "x"]
ODD_TEXTS = [*ODD, "-1", HUGE, "a\udcffb", "\x1b[2J\n"]
ODD_INPUTS = [*ODD, "missing", "few.npy/x", "a\udcffb", "/dev/null", "pipe", "nowhere"]
# Of what is written, by what comes before the suffix.
ODD_OUTPUTS = ["few.npy/x", "a\udcffb", "a\0b", "x" * 5000]
# Of options that are more than one number or path.
MORE = {
    "--fit": ["mixture", "mixture:", "mixture:0", f"mixture:{HUGE}", "mixture:21", "two-stage:2"],
    "--range": ["nan,1", "0,inf", "1,0", "0,1,2", "0,1e400", "0,1e-400"],
    "--frame": ["nan,0,1,1", "0,0,0,0", "-1,0,1,1", "0,0,1e-400,1", "0,0,1"],
    "--box": ["nan,0,1,1", "0,0,0,0", "-1,0,1,1"],
    "--size": ["0", "8x", "0x8", f"8x{HUGE}", "9" * 400],
    "--device": ["cuda:99", f"cuda:{HUGE}", "meta", "cpu:-1", "0"],
    "--where": ["(" * 2000, "-" * 3000 + "1", "not " * 900 + "1", "__import__('os')"],
    "--set": [
        "own:0",
        "own:-1",
        f"own:{HUGE}",
        "own:" + "9" * 5000,
        f"few.npy:{HUGE}",
        "own:",
        "few.npy:1",
    ],
    "--widths": ["0", "2,", f"2,{HUGE}", "9" * 400, "2," * 500 + "2"],
    "--discriminator-widths": ["0", "2,", f"2,{HUGE}", "9" * 400],
    "--by": ["odd,,word", "odd,odd", "word", "labels", "brightness,odd", "word,", ",", "x" * 4000],
    "--probe": ["odd,,word", "odd,odd", "all", "labels", "all,word", "word,", ",", "x" * 4000],
    "--members": ["0", "2,", HUGE, "9" * 400],
    "--pairs": ["0", "2,", HUGE, "9" * 400, "all,x"],
    "--variables": ["0", "0,0", "0,1,2", f"0,{HUGE}", "-1,0"],
    "--at": ["start=none", "moves=variables_9_1", "moves=variables_0_1e400", "&" * 200],
    "--leading": ["0,0", f"0,{HUGE}", "9" * 400, "0,"],
}


COMMANDS = {words: one for words, one in EVERY.items() if not isinstance(one, click.Group)}


def valued(command: click.Command) -> list[click.Parameter]:
    return [one for one in command.params if not getattr(one, "is_flag", False)]


def test_there_is_a_call_of_every_command():
    assert COMMANDS.keys() == CALLS.keys()


@pytest.mark.parametrize("words", COMMANDS)
def test_every_value_is_of_a_kind_that_is_checked(words):
    assert isinstance(COMMANDS[words], Command)
    for parameter in valued(COMMANDS[words]):
        kind = parameter.type
        assert isinstance(kind, Text | Count | NumberRange | click.Choice), parameter.opts


def call(*words: str) -> str:
    result = CliRunner().invoke(main, [*words])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with tiny models, maps, images and codes."""
    folder = tmp_path_factory.mktemp("world")
    digits = open_images("digits", limit=300)
    pixels = np.stack([digits.read(i) for i in range(300)])
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        np.save("few.npy", pixels)
        rows = [f"{i},{i % 2},{'ab'[i % 2]}\n" for i in range(300)]
        Path("few.csv").write_text("file,odd,word\n" + "".join(rows))
        Path("folder").mkdir()
        Image.fromarray(pixels[0].reshape(8, 8)).save("folder/one.png")
        Path("recipe.json").write_text(json.dumps(RECIPE))
        with torch.random.fork_rng():
            torch.manual_seed(0)
            for name, size in (("a", 3), ("b", 2)):
                config = {"architecture": "dense", "image_shape": [1, 8, 8], "widths": [4]}
                vae = build("vae", {**config, "latent_dim": size})
                save_model(vae, Path(f"{name}.safetensors"), training={})
            save_model(build("stylegan2", STYLEGAN), Path("gan.safetensors"), training={})
        weights = foreign_writers.random_weights("stylegan2", foreign_writers.STYLEGAN2)
        foreign = foreign_writers.rosinality_training(foreign_writers.STYLEGAN2, weights)
        foreign_writers.save(foreign, Path("foreign.pt"))
        data = ("--data", "few.npy", "--cache", "cache", "--device", "cpu")
        for source, target, out in (("a", "b", "map"), ("b", "a", "back")):
            models = ("--src", f"{source}.safetensors", "--dst", f"{target}.safetensors")
            call("fit", *models, *data, "--out", f"{out}.safetensors")
        tiny = ("--limit", "20", "--batch-size", "10", "--steps", "2", "--latent-dim", "2")
        dense = ("--architecture", "dense", "--widths", "2", "--trace", "a.trace")
        dense += ("--gates", "--tau", "60")
        call("train", "vae", "--data", "few.npy", *tiny, *dense, "--out", "traced.safetensors")
        build_set = ("support", "build", "a.safetensors", "-k", "1", "--members", "4")
        call(*build_set, *data, "--with-images", "--out", "support.h5")
    return folder


@pytest.fixture
def workdir(world, tmp_path, monkeypatch):
    """A copy of the world to work in, as the current folder."""
    folder = tmp_path / "work"
    shutil.copytree(world, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(demo, "STEPS", (("One step", "models list folder"),))
    return folder


def state() -> dict[str, tuple[int, int, int, int]]:
    """What is in the current folder, but for the cache, where codes are kept whatever comes."""
    found = {}
    for root, folders, files in os.walk("."):
        if root == "." and "cache" in folders:
            folders.remove("cache")
        for path in (root, *(f"{root}/{name}" for name in (*folders, *files))):
            one = os.lstat(path)
            size = 0 if stat.S_ISDIR(one.st_mode) else one.st_size
            found[path] = (one.st_mode, one.st_ino, size, one.st_mtime_ns)
    return found


class Calls:
    """The calls of one command, with one value of one parameter changed."""

    def __init__(self, words: str, command: click.Command) -> None:
        self.words, self.command = words, command
        entry = json.loads(call("cache", "list", "--cache", "cache", "--json"))["entries"][0][
            "entry"
        ]
        self.parts: list[tuple[click.Parameter, list[str]]] = []
        tokens = shlex.split(CALLS[words].replace("ENTRY", entry))
        arguments = [one for one in command.params if isinstance(one, click.Argument)]
        while tokens:
            found = [one for one in command.params if tokens[0] in (*one.opts, *one.secondary_opts)]
            flag = bool(found) and getattr(found[0], "is_flag", False)
            taken = 2 if found and not flag else 1
            parameter = found[0] if found else arguments[0]
            if not found and arguments[0].nargs == 1:
                arguments.pop(0)
            self.parts.append((parameter, tokens[:taken]))
            tokens = tokens[taken:]
        names = [one.name for one in command.params]
        self.forces = "force" in names
        self.device = ["--device", "cpu"] if "device" in names else []

    def right(self) -> list[str]:
        """The words of the call as it is."""
        return [
            *self.words.split(),
            *self.device,
            *(word for _, some in self.parts for word in some),
        ]

    def with_value(self, parameter: click.Parameter, value: str, *, force: bool = False):
        """The words of a call in which the parameter has this value and no other."""
        options, arguments = [], []
        for one, tokens in self.parts:
            if isinstance(one, click.Argument):
                arguments.append(value if one is parameter else tokens[0])
            elif one is not parameter:
                options += tokens
        if isinstance(parameter, click.Argument):
            known = any(one is parameter for one, _ in self.parts)
            arguments = arguments if known else [value]
        else:
            arguments = ["--", *arguments]
            options = [*self.device, *options, f"{max(parameter.opts, key=len)}={value}"]
        return [*self.words.split(), *options, *["--force"][: int(force)], *arguments]

    def inputs(self) -> list[str]:
        """The files that the call reads."""
        kinds = InputFile | InputPath | Reference
        values = [tokens[-1] for one, tokens in self.parts if isinstance(one.type, kinds)]
        return [value for value in dict.fromkeys(values) if Path(value).is_file()]

    def written(self) -> list[tuple[click.Parameter, str]]:
        """The outputs of the call."""
        kinds = OutputFile | OutputFolder
        return [(one, tokens[-1]) for one, tokens in self.parts if isinstance(one.type, kinds)]


def odd_values(calls: Calls, parameter: click.Parameter) -> list[tuple[str, bool]]:
    """Values for a parameter, and whether --force stands beside them."""
    kind = parameter.type
    if isinstance(kind, OutputFile | OutputFolder):
        return odd_outputs(calls, parameter)
    if isinstance(kind, Count | NumberRange):
        values = ODD_NUMBERS
    elif isinstance(kind, click.Choice):
        values = ODD_TEXTS[:6]
    elif isinstance(kind, InputFile | InputFolder | InputPath | Reference):
        values = ODD_INPUTS
    else:
        values = ODD_TEXTS
    return [(value, False) for value in [*values, *MORE.get(max(parameter.opts, key=len), [])]]


def odd_outputs(calls: Calls, parameter: click.Parameter) -> list[tuple[str, bool]]:
    """Paths that nothing may be written to: none of ours, inputs, and other outputs."""
    suffix = {"--figure": ".png", "--codes-out": ".npz"}.get(parameter.opts[0], "")
    for one, value in calls.written():
        if one is parameter:
            suffix = Path(value).suffix
    paths = ["", *(f"{name}{suffix}" for name in ODD_OUTPUTS)]
    for name, make in ODD_PLACES.items():
        if not os.path.lexists(f"odd-{name}{suffix}"):
            make(Path(f"odd-{name}{suffix}"))
        paths.append(f"odd-{name}{suffix}")
    for path in calls.inputs():
        hard, soft = f"hard-{Path(path).name}{suffix}", f"soft-{Path(path).name}{suffix}"
        if not Path(hard).exists():
            os.link(path, hard)
            Path(soft).symlink_to(path)
        paths += [path, f"./{path}", hard, soft]
    paths += [value for one, value in calls.written() if one is not parameter]
    if isinstance(parameter.type, OutputFolder):
        return [(path, False) for path in paths]
    paths += [".", f"new{suffix}/", f"missing/x{suffix}", f"{'y' * 250}{suffix}"]
    paths.append(f"odd-folder{suffix}")
    if not Path(paths[-1]).exists():
        Path(paths[-1]).mkdir()
    return [(path, force) for path in paths for force in {False, calls.forces}]


ODD_PLACES = {
    "null": lambda path: path.symlink_to("/dev/null"),
    "full": lambda path: path.symlink_to("/dev/full"),
    "nowhere": lambda path: path.symlink_to("missing"),
    "pipe": os.mkfifo,
}


def faults(words: list[str], *, right: bool = False) -> Iterator[str]:
    """What is wrong with how a call ends; a ``right`` one is to end well."""
    before = state()
    result = CliRunner().invoke(main, words)
    after = state()
    if result.exit_code not in (0, 1, 2) or not isinstance(result.exception, SystemExit | None):
        yield f"ends with {result.exit_code}, {result.exception!r}"
    if right and result.exit_code:
        yield f"is refused: {result.output}"
    if result.exit_code:
        lines = result.stderr.splitlines()
        errors = [line for line in lines if line.startswith("Error: ")]
        if (
            not errors
            or errors != lines[-1:]
            or len(errors[0]) > 600
            or not errors[0].isprintable()
        ):
            yield f"says {result.stderr[-600:]!r}"
        if after != before:
            yield f"is refused, and leaves {dict(after.items() ^ before.items()).keys()}"
    else:
        files = {path: one for path, one in before.items() if not stat.S_ISDIR(one[0])}
        if not files.items() <= after.items():
            yield f"changes {dict(files.items() - after.items()).keys()}"
    for path in sorted(after.keys() - before.keys(), reverse=True):
        Path(path).rmdir() if stat.S_ISDIR(after[path][0]) else Path(path).unlink()


@pytest.mark.parametrize("words", COMMANDS)
def test_no_value_of_any_option_does_harm(workdir, words):
    calls = Calls(words, COMMANDS[words])
    assert not [*faults(calls.right(), right=True)]
    os.mkfifo("pipe")
    Path("nowhere").symlink_to("missing")
    values = [
        (parameter, *odd)
        for parameter in valued(COMMANDS[words])
        for odd in odd_values(calls, parameter)
    ]
    found = []
    for parameter, value, force in values:
        line = calls.with_value(parameter, value, force=force)
        found += [f"{[word[:40] for word in line]} {fault}" for fault in faults(line)]
    assert not found, "\n".join(found)
