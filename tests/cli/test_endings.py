"""What comes after each command is a command, in one line, that can be typed as it stands."""

import shlex
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

from latentmap.cli.endings import ENDINGS, as_part, tell_next
from latentmap.cli.main import main
from tests.cli.every_command import EVERY

NAMED = "my file"  # A name that has to be quoted.
# How each command may have been called; the endings that differ stand one after the other.
CALLS = {
    "images index": [f"'{NAMED}' --out '{NAMED}.index'"],
    "images pack": [f"--data '{NAMED}.npy' --out '{NAMED}.h5'"],
    "images show": [f"--data '{NAMED}.npy'", "--data a.zip --attributes t.csv --where 'Male == 1'"],
    "images sprites": ["--n 2 --out s.npz"],
    "train deteriorate": ["mnist-vae --data d.npy --trace t.trace --out m.safetensors"],
    "train gan": [f"--data '{NAMED}.npy' --out '{NAMED}.safetensors'"],
    "train inversion": [
        "--generator gan --out m.safetensors",
        "--generator gan --data d.npy --split test --out m.safetensors",
    ],
    "train recipe": ["svae --data d.npy --out m.safetensors"],
    "train split-vae": ["--data d.npy --split train --out m.safetensors"],
    "train stylegan2": ["--data d.npy --out m.safetensors"],
    "train vae": [
        f"--data d.npy --limit 9 --device cpu --out '{NAMED}.safetensors'",
        "--data d.npy --split train --out m.safetensors",
        "--data d.npy --trace t.trace --out m.safetensors",
    ],
    "import": ["f.pt --out m.safetensors", f"'{NAMED}.pt' --inspect"],
    "models list": [""],
    "models show": [f"'{NAMED}.safetensors'"],
    "models check": ["svae"],
    "models normalise": ["vae --data d.npy --out m.safetensors"],
    "models prior": ["vae --fit mixture:3 --data d.npy --out m.safetensors"],
    "models prune": ["vae --data d.npy --out m.safetensors"],
    "sample": ["gan --out s.h5", f"gan -n 4 --truncation 0.7 --figure '{NAMED}.png'"],
    "encode": [
        "svae --data d.npy --cache 'my codes'",
        "svae --data d.npy --batch-size 9 --plan",
        "svae --data d.npy --batch-size 9 --shard 0/2",
    ],
    "cache list": ["", "--cache 'my codes'"],
    "cache show": ["3f2a"],
    "cache commit": ["--cache 'my codes'"],
    "cache verify": [""],
    "cache export": ["--out c.npz"],
    "cache rm": ["--all --yes"],
    "frames estimate": ["--src gan --dst vae", "--src gan --dst vae -n 64 --no-write"],
    "fit": [
        "--src svae --dst stylegan",
        f"--src pixels:8 --dst '{NAMED}.safetensors' --data d.npy --method cca --no-intercept",
        "--src a.npz --dst b.npz --out m.safetensors",
        f"--src svae --dst vae --data d.npy --limit 5 --out '{NAMED}.safetensors'",
    ],
    "evaluate": [f"'{NAMED}.safetensors' --data d.npy --split test", "m.safetensors"],
    "apply": ["m.safetensors --samples 8 --figure f.png", "m.safetensors --codes c.npz"],
    "map show": [f"'{NAMED}.safetensors'"],
    "map compose": ["a.safetensors b.safetensors --out c.safetensors"],
    "map inverse": ["a.safetensors --out c.safetensors"],
    "map export": ["a.safetensors --format numpy"],
    "map factors": ["a.safetensors --data d.npy"],
    "map methods": ["--src svae --dst vae --data d.npy"],
    "map curve": ["--src svae --dst vae --data d.npy --pairs 16,all --draws 2"],
    "compare": ["svae vae --data d.npy", f"'{NAMED}.safetensors' vae --samples 300"],
    "invert": ["stylegan --data d.npy"],
    "support order": ["svae --data d.npy -k 4"],
    "support build": [f"svae --data d.npy --out '{NAMED}.h5'"],
    "support show": ["s.h5", "s.h5 --data d.npy"],
    "support compare": ["--src svae --dst vae --data d.npy"],
    "explore": [
        "svae",
        "svae --data d.npy --seed 4",
        "svae gan",
        "svae gan --data d.npy --limit 9",
        "--trace vae.trace --trace other.trace",
    ],
    "bench": [f"gan --set own:16 --set '{NAMED}.h5' --methods network"],
    "diagnose": ["vae svae --data d.npy --split val"],
    "trace show": [f"'{NAMED}.trace'"],
}
# What has nothing left to be done.
LAST = {
    "bench": "gan --set own:16 --report r",
    "trace show": "a.trace --figure f.png",
}


def context_of(words: str, call: str) -> tuple[click.Context, list[str]]:
    """The context of a command as it is when the command has ended."""
    context = click.Context(main, info_name="latentmap")
    for word in words.split():
        assert isinstance(context.command, click.Group)
        child = context.command.get_command(context, word)
        assert child is not None
        context = click.Context(child, info_name=word, parent=context)
    typed = shlex.split(call)
    context.command.parse_args(context, list(typed))
    return context, typed


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("t.csv").write_text("file,Male\na.png,1\n")


def said(words, call, capsys):
    tell_next(*context_of(words, call))
    return capsys.readouterr()


@pytest.mark.parametrize(("words", "call"), [(w, c) for w, calls in CALLS.items() for c in calls])
def test_the_next_command_is_right_usage_as_it_is_printed(words, call, capsys, monkeypatch):
    monkeypatch.setenv("RANK", "0")  # For --shard auto.
    monkeypatch.setenv("WORLD_SIZE", "2")
    told = said(words, call, capsys)
    assert told.out == ""
    (line,) = told.err.splitlines()
    why, _, typed = line.partition(": ")
    assert why in ("next", "no map is kept; this keeps it", "each worker")
    first, *others = shlex.split(typed)
    assert first == "latentmap"
    command, parent = main, click.Context(main)
    while isinstance(command, click.Group):
        child = command.get_command(parent, others.pop(0))
        assert child is not None, line
        command = child
    command.make_context(typed, others)  # Wrong usage raises.


def test_every_command_has_an_ending():
    commands = {name for name, one in EVERY.items() if not isinstance(one, click.Group)}
    assert ENDINGS.keys() == CALLS.keys() == commands - {"demo"}  # It has pages of its own to show.


@pytest.mark.parametrize("words", LAST)
def test_where_nothing_is_left_no_command_is_said(words, capsys):
    wrote = "wrote f.png\n" if words == "trace show" else ""
    assert said(words, LAST[words], capsys).err == wrote


def test_pictures_that_a_command_does_not_say_are_said(capsys):
    told = said("diagnose", "vae --data d.npy --figure a.png --scatter b.png --report r", capsys)
    after = "next: latentmap support order vae --figures vae-order --data d.npy\n"
    assert told.err == f"wrote a.png\nwrote b.png\n{after}"
    assert "wrote" not in said("map curve", "--src svae --dst vae --data d.npy", capsys).err


def test_what_was_chosen_is_carried_over_as_it_was_typed(capsys):
    told = said(
        "fit", "--src svae --dst vae --data 'a b.zip' --limit 05 --out m.safetensors", capsys
    )
    figure = "apply m.safetensors --figure m.png"
    assert told.err == f"next: latentmap {figure} --data 'a b.zip' --limit 05\n"
    told = said("encode", "svae --data d.npy --cache 'my codes' --limit 5", capsys)
    assert told.err == "next: latentmap cache list --cache 'my codes'\n"
    told = said("fit", "--src svae --dst pixels:8 --no-intercept --force", capsys)
    fit = "fit --out svae-to-pixels-8.safetensors"
    assert told.err.startswith(f"no map is kept; this keeps it: latentmap {fit} ")
    assert "--no-intercept" in told.err and "--force" not in told.err


def test_a_comparison_goes_on_to_how_many_images_find_the_map(capsys):
    told = said("compare", "svae vae gan --data d.npy --limit 9 --report r", capsys)
    assert told.err == "next: latentmap map curve --src svae --dst vae --data d.npy --limit 9\n"


def test_a_model_is_looked_at_on_images_that_it_has_not_seen(capsys):
    told = said("train vae", "--data d.npy --split train --out m.safetensors", capsys)
    assert told.err == "next: latentmap diagnose m.safetensors --split val --data d.npy\n"


def test_no_file_that_is_there_is_named_for_a_new_one(capsys):
    for name in ("svae-to-vae.safetensors", "svae-to-vae-2.safetensors"):
        Path(name).touch()
    assert "--out svae-to-vae-3.safetensors" in said("fit", "--src svae --dst vae", capsys).err


def test_scripts_and_steps_of_other_commands_are_told_nothing(capsys):
    assert said("fit", "--src svae --dst vae --json", capsys).err == ""
    context, typed = context_of("fit", "--src svae --dst vae")
    with as_part(context):
        tell_next(context, typed)
    assert capsys.readouterr().err == ""
    tell_next(context, typed)
    assert capsys.readouterr().err != ""


def test_a_command_ends_with_it_on_stderr():
    np.save("few.npy", np.zeros((4, 8, 8), np.uint8))
    result = CliRunner().invoke(main, ["images", "show", "--data", "few.npy"])
    assert result.exit_code == 0, result.output
    assert result.stderr.splitlines()[-1].startswith("next: latentmap train vae --size 64")
    assert "next" not in result.stdout
    refused = CliRunner().invoke(main, ["images", "show", "--data", "none.npy"])
    assert refused.exit_code == 1 and "next:" not in refused.output
