"""Seeds of the files that latentmap writes, each as it should be: small ones of every kind."""

from __future__ import annotations

import io
import json
import math
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch import nn

from latentmap.cache import EntryKey, LatentCache, encode, encode_shard, plan_shards, start_plan
from latentmap.codes import PIXELS, Codes, Pairs, Space, export_codes, pair
from latentmap.diagnostics.traces import Epochs, Paths, Steps, Trace
from latentmap.encoders import build
from latentmap.encoders.inverted import add_inversion
from latentmap.encoders.native import save_model
from latentmap.encoders.nets.code_vae import CodeVAE
from latentmap.encoders.nets.inversion import InversionNetwork, default_network
from latentmap.encoders.recipes import bundled_recipes
from latentmap.encoders.training.checkpoint import save_checkpoint
from latentmap.encoders.two_stage import TwoStagePrior
from latentmap.frames import Frame
from latentmap.images import open_images, pack_images
from latentmap.images.contents import Contents, KnownContents, Marks
from latentmap.intervals import Estimate
from latentmap.mapping import LinearMap, fit
from latentmap.mapping.held_out_error import HELD_OUT, HeldOutError
from latentmap.mapping.kept_baselines import KeptBaseline
from latentmap.model import Mixture, SeenImages
from latentmap.model.testing import LinearModel
from latentmap.report import Column, ImageRow, ImageRows, Measure, Picture, Row, Section, Table
from latentmap.report.embedding import image_strip
from latentmap.report.parts import Bars, Curve, HeatCell, HeatMap, Plane, Report
from latentmap.report.store import write_report
from latentmap.support import ChoiceOptions, choose_support_set
from tests.encoders import foreign_writers
from tests.fuzz.cases import Case, read_case

PLACE = "/images.npy"
CODES = Space("z", 3, "a", "aa")
_VAE = {"architecture": "dense", "image_shape": [1, 8, 8], "latent_dim": 3, "widths": [8]}
_MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "dense": ("vae", _VAE),
    "conv": ("vae", {**_VAE, "architecture": "conv", "widths": [4, 4]}),
    "split": ("split-vae", {"image_shape": [1, 8, 8], "latent_dim": 3, "width": 2, "embedding": 8}),
    "gan": (
        "gan",
        {"image_shape": [1, 8, 8], "latent_dim": 3, "base": 6, "widths": [4, 4], "norm": "batch"},
    ),
    "stylegan2": (
        "stylegan2",
        {**foreign_writers.STYLEGAN2, "image_shape": [3, 8, 8], "channels": [4, 3]},
    ),
    "stylegan3": (
        "stylegan3",
        {**foreign_writers.STYLEGAN3_R, "image_shape": [3, 8, 8], "channels": [4, 3, 3]},
    ),
    "stylegan1": (
        "stylegan1",
        {**foreign_writers.STYLEGAN1, "image_shape": [3, 8, 8], "channels": [4, 3]},
    ),
}


def pixels(n: int = 20, side: int = 4) -> np.ndarray:
    """Some noise, uint8 ``(n, side, side)``."""
    return np.random.default_rng(0).integers(0, 256, (n, side, side), dtype=np.uint8)


def written(folder: Path, name: str, write: Callable[[Path], object]) -> Case:
    """What ``write`` puts into a new folder, when it is told a path of this name there."""
    place = folder / str(sum(1 for _ in folder.iterdir()))
    place.mkdir()
    write(place / name)
    return read_case(place)


def models(folder: Path) -> list[Case]:
    """Native models, one a family, two of them with priors."""
    made = [build(family, config) for family, config in _MODELS.values()]
    made[1].prior = Mixture(torch.full((2,), 0.5), torch.zeros(2, 3), torch.eye(3).repeat(2, 1, 1))
    names = ("law_mean", "law_spread", "mean", "spread")
    moments = {name: torch.ones(3) for name in names}
    made[2].prior = TwoStagePrior(CodeVAE(3, (2,)), (2,), moments, lost=1.0)
    made[0].seen = SeenImages.of(open_images(_array(folder)).digests)
    network = default_network("residual", (1, 8, 8), 3, width=2)
    made.append(
        add_inversion(made[3], InversionNetwork(network, (1, 8, 8), 3), network, name="inverted")
    )
    record = {"command": "latentmap train vae", "figures": {"loss": 1.0}}
    return [
        written(folder, "model.safetensors", partial(save_model, model, training=record))
        for model in made
    ]


def _array(folder: Path) -> Path:
    path = folder / "array.npy"
    np.save(path, pixels())
    return path


class Tiny:
    """What a training must show so that it can be saved."""

    def __init__(self) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.network = nn.Linear(2, 3)
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            "adam": torch.optim.Adam(self.network.parameters())
        }
        self.state = {"mean": torch.zeros(3)}


def trainings(folder: Path) -> list[Case]:
    """The checkpoint of a training."""
    tiny = Tiny()
    tiny.network(torch.ones(1, 2)).sum().backward()
    tiny.optimizers["adam"].step()
    record = {"step": 3, "settings": {"seed": 1, "widths": [8]}, "log": [{"step": 1, "loss": 0.5}]}
    write = partial(save_checkpoint, recipe=tiny, record=record)
    return [written(folder, "checkpoint.safetensors", write)]


def traces(folder: Path) -> list[Case]:
    """The trace of a training, of one with gates, and of one that added noise to a variable."""
    chance = np.random.default_rng(0)

    def some(*shape: int) -> np.ndarray:
        return chance.random(shape, dtype=np.float32)

    k, e, p, m, d = 4, 3, 2, 2, 3
    steps = Steps(np.arange(1, k + 1), some(k), some(k), some(k), *(some(k, d) for _ in range(3)))
    epochs = Epochs(np.arange(e), *(some(e, d) for _ in range(4)))
    paths = Paths(np.arange(p), some(p, m, d), some(p, m, d))
    settings = {"variable": 1, "tau": None, "tau_mse": 0.5, "config": {"image_shape": [1, 4, 4]}}
    record = {"model": "vae.safetensors", "settings": settings, "every": 1}
    plain = Trace(steps, epochs, paths, ("0", "7"), ("five", "six"), record)
    gates = replace(plain, steps=replace(steps, gates=some(k, d), multiplier=some(k)), labels=None)
    added = np.array([0, 1, 0], np.float32)
    noise = replace(epochs, noise=added, gain_nats=some(e), cost_nats=some(e))
    traced = (plain, gates, replace(plain, epochs=noise))
    return [written(folder, "vae.trace", trace.save) for trace in traced]


def maps(folder: Path) -> list[Case]:
    """Maps of some methods, of patches, and with baselines."""
    chance = np.random.default_rng(0)
    ids = [f"{number}.png" for number in range(30)]
    digests = chance.integers(1, 255, (30, 16), dtype=np.uint8)
    x = chance.normal(size=(30, 3)).astype(np.float32)
    y = (x @ chance.normal(size=(3, 2))).astype(np.float32)
    pairs = pair(
        Codes.from_array(ids, x, space=CODES, digests=digests, frame=Frame("celeba")),
        Codes.from_array(ids, y, space=Space("z", 2, "b", "bb"), digests=digests),
    )
    return [
        written(folder, "map.safetensors", fit(pairs, method=method).save)
        for method in ("ridge", "procrustes", "pls")
    ] + [
        written(folder, "map.safetensors", one.save)
        for one in (*_grid_maps(), replace(fit(pairs), baselines=_baselines()))
    ]


def _baselines() -> tuple[KeptBaseline, ...]:
    """A thumbnail and principal components in place of three variables, for a map to two."""
    weight, bias = torch.ones(3, 2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    thumbnail = KeptBaseline("pixels", Space("latent", 3, "pixels:1x1", "cc"), weight, bias)
    components = replace(
        thumbnail,
        kind="pca",
        space=Space("latent", 3, "pca:3", "dd"),
        weight=weight.clone(),
        bias=bias.clone(),
        mean=torch.zeros(4),
        components=torch.ones(3, 4),
    )
    return thumbnail, components


def _grid_maps() -> list[LinearMap]:
    """Maps of patches, and one into thumbnails that tells its error."""
    preview = fit(_grid_pairs({"a": (2, 3, 3), "b": (3, 3, 3)}, kind=PIXELS), patch=1)
    half = Estimate(0.5, 0.25, 0.75)
    known = HeldOutError(half, half, half, n_test=9, n_units=9)
    preview = replace(preview, record={HELD_OUT: known.to_json()})
    return [*(fit(_grid_pairs({"a": (2, 6, 3), "b": (1, 3, 3)}), patch=k) for k in (1, 3)), preview]


def _grid_pairs(shapes: Mapping[str, tuple[int, int, int]], kind: str = "z") -> Pairs:
    chance = np.random.default_rng(0)
    ids = [str(number) for number in range(9)]
    source, target = (
        Codes.from_array(
            ids,
            chance.normal(size=(9, math.prod(shape))),
            space=Space(kind, math.prod(shape), name, name, shape),
        )
        for name, shape in shapes.items()
    )
    return pair(source, target)


def code_files(folder: Path) -> list[Case]:
    """Codes in each form of file."""
    vectors = np.arange(15, dtype=np.float32).reshape(5, 3)
    codes = Codes.from_array([f"{i}.png" for i in range(5)], vectors, space=CODES)
    provenance = {
        "space": {"kind": "z", "dim": 3, "model": "a", "fingerprint": "aa"},
        "frame": Frame().to_json(),
        "data": "d",
    }
    return [
        written(
            folder,
            f"codes{end}",
            partial(export_codes, codes, provenance=provenance, force=False),
        )
        for end in (".npz", ".npy", ".h5", *_tables())
    ]


def plain_codes(folder: Path) -> list[Case]:
    """Files of codes of other programs, of each kind, with ids and without."""
    codes = np.arange(60, dtype=np.float32).reshape(5, 3, 4)
    names = np.array([f"{i}.png" for i in range(5)])

    def table(path: Path) -> None:
        with h5py.File(path, "w") as file:
            file.create_dataset("codes", data=codes, chunks=(2, 3, 4), compression="gzip")
            file["ids"] = [str(name) for name in names]

    def shard(path: Path) -> None:
        with tarfile.open(path, "w") as archive:
            for name, code in zip(names, codes, strict=True):
                content = io.BytesIO()
                np.save(content, code)
                member = tarfile.TarInfo(f"{name}.npy")
                member.size = len(content.getvalue())
                archive.addfile(member, io.BytesIO(content.getvalue()))

    cases = [
        written(folder, "codes.npz", partial(np.savez, codes=codes, ids=names)),
        written(folder, "packed.npz", partial(np.savez_compressed, codes=codes, ids=names)),
        written(folder, "codes.npy", partial(np.save, arr=np.asfortranarray(codes))),
        written(folder, "codes.h5", table),
        written(folder, "codes.tar", shard),
    ]
    return cases + _parquet(folder, codes.reshape(5, 12), names)


def _tables() -> list[str]:
    """The ends of tables that can be written here."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        return []
    return [".parquet"]


def _parquet(folder: Path, codes: np.ndarray, names: np.ndarray) -> list[Case]:
    """The same as a table, where there is what writes one."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        return []
    table = pyarrow.table({"ids": names.tolist(), "codes": list(codes)})
    write = partial(pyarrow.parquet.write_table, table)
    return [written(folder, "codes.parquet", write)]


def ids(folder: Path) -> list[Case]:
    """Lists of ids of each kind."""
    names = np.array([f"{i}.png" for i in range(5)])
    return [
        {"ids.txt": "\n".join(names).encode()},
        {"ids.csv": "\n".join(["n,ids", *(f"1,{name}" for name in names)]).encode()},
        written(folder, "ids.npy", partial(np.save, arr=names)),
        written(folder, "ids.npz", partial(np.savez, ids=names)),
    ]


def supports(folder: Path) -> list[Case]:
    """Support sets, without and with their images."""
    images = open_images(_array(folder))
    record = {"command": "latentmap x", "image_shape": [1, 4, 4]}
    made = choose_support_set(
        encode(LinearModel(), images), (2, 0), ChoiceOptions(threshold=0.3, size=6), seed=0
    ).with_settings(**record)
    return [
        written(folder, "support.h5", made.save),
        written(folder, "support.h5", made.with_images(images).save),
    ]


def packs(folder: Path) -> list[Case]:
    """Packs, one of them with codes and a partition."""
    images = open_images(_array(folder), limit=5)

    def with_codes(path: Path) -> None:
        pack_images(images, images.view(), path)
        with h5py.File(path, "r+") as file:
            space = {"kind": "z", "dim": 3, "model": "a", "fingerprint": "aa"}
            file["codes"] = np.zeros((5, 3), np.float32)
            file["space"] = json.dumps(space)
            file["splits"] = np.array([b"train"] * 3 + [b"val", b"test"])

    return [
        written(folder, "pack.h5", partial(pack_images, images, images.view())),
        written(folder, "pack.h5", with_codes),
    ]


def hdf5_images(folder: Path) -> list[Case]:
    """Images in HDF5 that others wrote."""

    def plain(path: Path) -> None:
        with h5py.File(path, "w") as file:
            file["images"] = pixels(6)

    def in_chunks(path: Path) -> None:
        with h5py.File(path, "w") as file:
            colours = pixels(6)[..., None].repeat(3, 3)
            file.create_dataset("images", data=colours, chunks=(2, 4, 4, 3), compression="gzip")
            file["labels"] = np.arange(6)

    return [written(folder, "images.h5", plain), written(folder, "images.h5", in_chunks)]


def reports(folder: Path) -> list[Case]:
    """A report with every kind of block."""
    strip = image_strip(torch.rand(2, 3, 4, 4, generator=torch.manual_seed(1)), "two images")
    blocks: list[Any] = [
        Table(
            "Numbers",
            [Column("name"), Column("value", "meaning", "high")],
            [Row(["b", Measure(0.5, 0.4, 0.6, "note")], "shown"), Row(["a", None]), Row(["c", 3])],
            "A note.",
        ),
        HeatMap(
            "Heat", ["a", "b"], [[None, HeatCell(0.25, "a", "shown")], [HeatCell(None, "-"), None]]
        ),
        Plane("Plane", ["a", "b"], [[0.0, 0.0], [1.0, 0.5]], "two points"),
        Bars("Bars", "sector", [3, 0, 5], 2.5, "three bars", "Dashed: 2.5."),
        Curve("Curve", "pairs", [10, 100], [Measure(-0.5, -0.6, -0.4), Measure(0.5)], "a curve"),
        ImageRows(
            "shown", "Rows", [ImageRow("left", [strip, strip], list("abcd"))], heads=("x", "y")
        ),
        Picture("Alone", strip),
    ]
    record = {"command": "latentmap x", "seed": 0, "versions": {"torch": "2"}, "none": None}
    whole = Report("A report", [Section("first", "First", ["Text."], blocks, record)])
    case = written(folder, "report", partial(write_report, report=whole))
    return [{name: case[f"report/{name}"] for name in ("report.json", "index.html")}]


def recipes(_: Path) -> list[Case]:
    """The recipes that ship."""
    return [{"recipe.json": path.read_bytes()} for path in bundled_recipes().values()]


def logs(_: Path) -> list[Case]:
    """The log of a training."""
    line = {"step": 3, "loss": 0.5, "images_per_second": 20.5}
    return [{"model.safetensors.training/log.jsonl": json.dumps(line).encode()}]


KEY = EntryKey(
    "f" * 64, "z", "d" * 64, {"frame": Frame().to_json(), "size": [4, 4], "channels": 1}, {}
)


def contents(folder: Path) -> list[Case]:
    """What a cache knows of the images of an array."""
    random = np.random.default_rng(0)
    marks = Marks(random.integers(0, 256, (6, 16), dtype=np.uint8), np.ones(6, np.bool_))
    found = Contents(random.integers(0, 256, (6, 16), dtype=np.uint8), np.full((6, 3), 3))
    known = KnownContents.nothing().adding(marks, found, most=12)
    case = written(folder, "cache", lambda path: LatentCache(path).contents.save(PLACE, known))
    return [{name.removeprefix("cache/"): content for name, content in case.items()}]


def caches(folder: Path) -> list[Case]:
    """A cache with two entries, of several shards."""

    def write(path: Path) -> None:
        ids = np.array([f"{number}.jpg" for number in range(6)])
        digests = np.random.default_rng(0).integers(0, 256, (6, 16), dtype=np.uint8)
        cache = LatentCache(path, shard_bytes=48)
        for key in (KEY, replace(KEY, precision="float16")):
            space = Space("z", 3, "tiny", "f" * 64)
            with cache.writer(key, space=space, frame=Frame(), ids=ids, digests=digests) as writer:
                for start in (0, 4):
                    positions = np.arange(start, min(start + 4, 6))
                    vectors = np.ones((len(positions), 3), np.float32)
                    writer.append(positions, vectors, stop=int(positions[-1]) + 1)
                writer.finish()

    case = written(folder, "cache", write)
    own = {name.removeprefix("cache/"): content for name, content in case.items()}
    return [{name: content for name, content in own.items() if not name.startswith("locks")}]


def plans(folder: Path) -> list[Case]:
    """A plan of two shards, one of which is made."""
    model = LinearModel(2, (1, 8, 8))

    def write(path: Path) -> None:
        images, cache = open_images("digits", limit=4), LatentCache(path)
        plan = plan_shards([model], images, shard_images=2, batch_size=2)
        encode_shard(start_plan(plan, cache, {"/a-0.tar": 4}), 1, [model], images, cache)

    case = written(folder, "cache", write)
    own = {name.removeprefix("cache/"): content for name, content in case.items()}
    return [{name: content for name, content in own.items() if not name.startswith("locks")}]
