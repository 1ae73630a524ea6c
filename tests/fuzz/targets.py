"""The targets: groups of readers that are fuzzed together."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from unittest import mock

import numpy as np
import torch

from latentmap.cache import LatentCache
from latentmap.cache.plan_folder import PlanFolder, find_plans
from latentmap.cache.sealed import seal
from latentmap.cache.storage import Storage
from latentmap.cache.upkeep import Entries
from latentmap.codes.ids_file import read_ids
from latentmap.codes.reading import read_codes
from latentmap.diagnostics.deteriorated import deteriorated_in
from latentmap.diagnostics.staircase import staircase_in
from latentmap.diagnostics.trace_figures import motion_of
from latentmap.diagnostics.trace_section import trace_section
from latentmap.diagnostics.traces import Trace
from latentmap.encoders import listing, load
from latentmap.encoders.adapters.hub import read_config, require_safetensors
from latentmap.encoders.adapters.onnx_files import digest_of_graph
from latentmap.encoders.adapters.preprocessing import read_preprocessing
from latentmap.encoders.checkpoints.importing import import_checkpoint, inspect_checkpoint
from latentmap.encoders.checkpoints.unsaid import Unsaid
from latentmap.encoders.project import read_project
from latentmap.encoders.recipes import read_recipe
from latentmap.encoders.training.checkpoint import read_checkpoint, restore
from latentmap.encoders.training.runs import training_seconds
from latentmap.errors import ImageError, MapError
from latentmap.images import ImageSource, open_images, open_parts
from latentmap.images.attributes import select_where
from latentmap.images.contents import Marks
from latentmap.images.id_images import images_of_codes
from latentmap.images.labels import read_labels
from latentmap.images.listed import read_listed
from latentmap.images.splits import read_groups
from latentmap.images.tables import read_table
from latentmap.mapping import LinearMap
from latentmap.mapping.exported_layers import numpy_bytes, torch_bytes
from latentmap.mapping.exported_previews import comfyui_bytes, diffusers_bytes
from latentmap.mapping.summary import describe
from latentmap.report import Table, as_text
from latentmap.report.page import render
from latentmap.report.parts import Report
from latentmap.report.store import read_report
from latentmap.support import SupportSet
from latentmap.support.support_file import holds_support
from tests.fuzz import other_seeds, own_seeds
from tests.fuzz.archive_changes import change_gzip, change_tar, change_zip
from tests.fuzz.array_changes import change_idx, change_npy
from tests.fuzz.byte_changes import change_bytes
from tests.fuzz.cases import Case
from tests.fuzz.checkpoint_changes import change_index, change_legacy, change_pickle
from tests.fuzz.hdf5_changes import change_hdf5
from tests.fuzz.json_changes import change_json
from tests.fuzz.parquet_changes import change_parquet
from tests.fuzz.picture_changes import change_picture
from tests.fuzz.readers import Reader
from tests.fuzz.tensor_changes import change_tensors
from tests.fuzz.text_changes import change_condition, change_table


def _look(images: ImageSource) -> None:
    """What commands do with images: what they are, and all their pixels."""
    _ = images.fingerprint, images.splits, images.split_rule, images.tables()
    images.read(0)
    images.read(len(images) - 1)
    for batch in images.batches(
        [images.view(size=(8, 8), channels=3)], batch_size=4, on_error="skip", threads=1
    ):
        _ = batch.images


def _quiet(_: str) -> None:
    """Remarks on dark images are no errors."""


def _look_at(name: str) -> Callable[[Path], None]:
    return lambda folder: _look(open_images(folder / name, limit=40, notify=_quiet))


def _the_images(folder: Path) -> None:
    """The one file of images in a folder, whatever its name."""
    (path,) = [*folder.iterdir()] or [folder / "images.npy"]
    _look(open_images(path, limit=40, notify=_quiet))


def _by_parts(name: str) -> Callable[[Path], None]:
    return lambda folder: _look_at_parts(folder / name)


def _look_at_parts(path: Path) -> None:
    """What who plans and who encodes do with parts."""
    parts = open_parts(path)
    for start in range(0, min(len(parts), 6), 2):
        part = parts.part(start, min(start + 2, len(parts)))
        json.dumps([part.ids.tolist(), part.fingerprint])
        with suppress(ImageError):
            part.read(0)


def _list_models(folder: Path) -> None:
    # Without the models that ship, which are more than the case.
    with mock.patch.object(listing, "bundled_models", dict):
        json.dumps([one.to_json() for one in listing.list_models(folder).models])


def _show_map(folder: Path) -> None:
    found = LinearMap.load(folder / "map.safetensors")
    as_text(found.tables())
    json.dumps(describe(found))
    if found.source.dim < 1_000_000:  # Of patches a small file says how large the grid is.
        found.apply(torch.zeros(1, found.source.dim))
    if found.source.dim * found.target.dim < 1000:
        found.inverse()
    if found.weight.numel() < 1_000_000:
        for make in (torch_bytes, numpy_bytes, comfyui_bytes, diffusers_bytes):
            with suppress(MapError):  # Of another kind of map.
                make(found)


def _resume(folder: Path) -> None:
    restore(read_checkpoint(folder / "checkpoint.safetensors"), own_seeds.Tiny())


def _show_trace(folder: Path) -> None:
    """As ``latentmap trace show`` does, but for the pictures."""
    trace = Trace.load(folder / "vae.trace")
    as_text(trace.tables())
    json.dumps(trace.to_json(), allow_nan=False)
    motion = motion_of(trace) if trace.latent_dim > 1 and trace.ids else None
    render(Report("report", [trace_section(trace, motion, name="vae")]))
    for found in (deteriorated_in(trace), staircase_in(trace)):
        if found is not None:
            as_text([found.table()])


def _codes(folder: Path) -> None:
    found = [path for path in folder.iterdir() if not path.name.endswith(".ids.txt")]
    (path,) = found or [folder / "codes.npz"]
    _ = read_codes(path, space=own_seeds.CODES).vectors


def _plain_codes(folder: Path) -> None:
    """As a model, of which all codes are read."""
    (path,) = [*folder.iterdir()] or [folder / "codes.npz"]
    model = load(path)
    assert model.stored is not None
    if model.stored.ids is None:
        model.stored.rows.read(0, len(model.stored))
        return
    images, _ = images_of_codes([model.stored])
    codes = model.stored.codes_of(images.ids, images.digests, space=model.space, data="")
    _ = codes.vectors


def _ids(folder: Path) -> None:
    for path in folder.iterdir():
        read_ids(path)


def _support(folder: Path) -> None:
    found = SupportSet.load(folder / "support.h5")
    as_text(found.tables())
    json.dumps(found.to_json())


def _holds_support(folder: Path) -> None:
    holds_support(folder / "support.h5")


def _report(folder: Path) -> None:
    report = read_report(folder)
    render(report)
    for section in report.sections:
        as_text([block for block in section.blocks if isinstance(block, Table)])


def _entries(folder: Path) -> None:
    json.dumps([entry.to_json() for entry in Entries(folder).all()])


def _verify(folder: Path) -> None:
    Entries(folder).verify()


def _find(folder: Path) -> None:
    codes = LatentCache(folder).find(own_seeds.KEY)
    if codes is not None:
        _ = codes.vectors


def _plans(folder: Path) -> None:
    for plan in find_plans(folder):
        made = PlanFolder(folder, plan, Storage())
        json.dumps(made.counts())
        for number in made.reported():
            made.report(number)


def _known(folder: Path) -> None:
    known = LatentCache(folder).contents.load(own_seeds.PLACE, 6)
    known.find(Marks(np.zeros((2, 16), np.uint8), np.ones(2, np.bool_)))


def _rehash(chance: Random, case: Case) -> Case:
    """Contents of images with the sha256 that fits."""
    right = dict(case)
    for name, content in case.items():
        if name.startswith("contents/") and isinstance(content, bytes) and chance.random() < 0.9:
            head, body = content[:21], content[21 + 32 :]
            right[name] = head + hashlib.sha256(body).digest() + body
    return right


_SEALED = ("manifest.json", "plan.json", "files.json", "report.json")


def _reseal(chance: Random, case: Case) -> Case:
    """Sealed documents with the digest that fits, so that what lies behind it is reached. Those of
    shards stay: they are what is promised of a cache, in which nobody else writes.
    """
    sealed = dict(case)
    for name, content in case.items():
        if name.endswith(_SEALED) and chance.random() < 0.9:
            try:
                body = json.loads(content) if isinstance(content, bytes) else {}
                body.pop("sha256", None)
                sealed[name] = seal(body)
            except Exception:  # It is no longer what can be sealed.
                continue
    return sealed


def _reindex(chance: Random, case: Case) -> Case:
    """An index of the same folder, since it may be of any, with a head and places that fit."""
    content = case.get("faces.index")
    if not isinstance(content, bytes):
        return case
    line, _, rest = content.partition(b"\n")
    paths, _, places = rest.rstrip(b"\n").rpartition(b"\n")
    try:
        head = {**json.loads(line), "folder": "faces"}
    except Exception:  # Of no folder.
        return case
    if chance.random() < 0.9:
        head["bytes"], places = len(paths) + 1, b'{"places": [0]}'
    parts = (json.dumps(head).encode(), paths, places, b"")
    return {**case, "faces.index": b"\n".join(parts)}


def _condition(folder: Path) -> str:
    """As the command line hands it on."""
    path = folder / "where.txt"
    return path.read_bytes().decode("utf-8", "surrogateescape") if path.is_file() else ""


def _where(folder: Path) -> None:
    select_where(_condition(folder), read_table(folder / "attributes.csv").columns)


def _chosen(folder: Path) -> None:
    attributes, groups = folder / "attributes.csv", folder / "groups.csv"
    for missing in ("stop", "skip"):
        open_images(
            folder / "images",
            attributes=attributes,
            where=_condition(folder),
            group_by=groups,
            missing=missing,
            notify=_quiet,
        )


def _groups(folder: Path) -> None:
    read_groups(folder / "groups.csv")


def _listed(folder: Path) -> None:
    path = _list_in(folder)
    ids = open_images(folder / "images", notify=_quiet).ids
    assert read_listed(ids, path).chosen.shape == ids.shape


def _taken(folder: Path) -> None:
    open_images(folder / "images", ids=_list_in(folder), missing="skip", notify=_quiet)


def _left_out(folder: Path) -> None:
    open_images(folder / "images", exclude=_list_in(folder), notify=_quiet)


def _list_in(folder: Path) -> Path:
    """A text, or csv."""
    return next(folder.glob("ids.*"), folder / "ids.txt")


def _labels(folder: Path) -> None:
    """What lies with the images says of them, and what a table says."""
    name = "images.npz" if (folder / "images.npz").is_file() else "images-idx3-ubyte"
    images = open_images(folder / name, notify=_quiet)
    json.dumps(None if images.labels is None else images.labels.tolist())
    if (folder / "labels.csv").is_file():
        read_labels(images.ids, f"{folder / 'labels.csv'}:kind")


def _partition(folder: Path) -> None:
    open_images(folder / "images", split="train", notify=_quiet)


def _checkpoint(folder: Path) -> Path:
    """The one file; of TensorFlow's two the index, which comes after the numbers."""
    return max(folder.iterdir(), key=lambda path: path.name, default=folder / "checkpoint.pkl")


def _inspect(folder: Path) -> None:
    json.dumps(inspect_checkpoint(_checkpoint(folder)).describe())


def _import(folder: Path) -> None:
    import_checkpoint(_checkpoint(folder))


def _import_knowing(folder: Path) -> None:
    """With all that chains of layers leave open."""
    said = Unsaid(
        activation="relu", output="none", strides=(1,), paddings=(0,), pools=(1,), size=(8, 8)
    )
    import_checkpoint(_checkpoint(folder), unsaid=said)


def _graph(folder: Path) -> None:
    digest_of_graph(folder / "graph.onnx")


def _model_folder(folder: Path) -> None:
    """As adapters do before another library reads the folder."""
    config = read_config(folder)
    read_preprocessing(folder, config, {}, None)
    require_safetensors(folder, "model")


def _project(folder: Path) -> None:
    read_project(folder / "latentmap.toml")


_TENSORS = ((".safetensors", change_tensors),)
_JSON = ((".json", change_json),)
_HDF5 = ((".h5", change_hdf5),)
_PARQUET = ((".parquet", change_parquet),)
_NUMPY = ((".npy", change_npy), (".npz", change_zip(change_npy)))

TARGETS: dict[str, tuple[Reader, ...]] = {
    "models": (
        Reader(
            "models",
            own_seeds.models,
            (
                lambda folder: listing.describe_model(folder / "model.safetensors").to_json(),
                lambda folder: load(folder / "model.safetensors"),
                _list_models,
            ),
            _TENSORS,
        ),
        Reader("trainings", own_seeds.trainings, (_resume,), _TENSORS),
        Reader("traces", own_seeds.traces, (_show_trace,), _TENSORS),
    ),
    "maps": (Reader("maps", own_seeds.maps, (_show_map,), _TENSORS),),
    "codes": (
        Reader("codes", own_seeds.code_files, (_codes,), (*_NUMPY, *_HDF5, *_PARQUET)),
        Reader(
            "plain-codes",
            own_seeds.plain_codes,
            (_plain_codes,),
            (*_NUMPY, *_HDF5, *_PARQUET, (".tar", change_tar)),
        ),
        Reader(
            "ids", own_seeds.ids, (_ids,), (*_NUMPY, (".csv", change_table), (".txt", change_table))
        ),
        Reader("supports", own_seeds.supports, (_support, _holds_support), _HDF5),
    ),
    "packs": (
        Reader("packs", own_seeds.packs, (_look_at("pack.h5"),), _HDF5),
        Reader(
            "hdf5",
            own_seeds.hdf5_images,
            (_look_at("images.h5"), _look_at("images.h5:/images")),
            _HDF5,
        ),
    ),
    "reports": (
        Reader(
            "reports",
            own_seeds.reports,
            (_report,),
            ((".json", change_json), (".html", change_bytes)),
        ),
        Reader(
            "recipes",
            own_seeds.recipes,
            (lambda folder: read_recipe(folder / "recipe.json"),),
            ((".json", change_json),),
        ),
        Reader(
            "logs",
            own_seeds.logs,
            (lambda folder: training_seconds(folder / "model.safetensors", batch_size=4),),
            ((".jsonl", change_json),),
        ),
    ),
    "caches": (
        Reader(
            "caches",
            own_seeds.caches,
            (_entries, _verify, _find),
            ((".json", change_json), *_HDF5),
            _reseal,
        ),
        Reader("contents", own_seeds.contents, (_known,), (), _rehash),
        Reader("plans", own_seeds.plans, (_plans,), ((".json", change_json),), _reseal),
    ),
    "images": (
        Reader("images", other_seeds.pictures, (_look_at("images"),), (("", change_picture),)),
    ),
    "archives": (
        Reader("zips", other_seeds.zips, (_the_images,), ((".zip", change_zip(change_picture)),)),
        Reader("tars", other_seeds.tars, (_the_images,), ((".tar", change_tar),)),
        Reader(
            "tar sets",
            other_seeds.tar_sets,
            (_look_at("a-*.tar"), _by_parts("a-{0..1}.tar")),
            ((".tar", change_tar),),
        ),
        Reader(
            "image tables",
            other_seeds.image_tables,
            (_look_at("images.parquet"), _by_parts("*.parquet")),
            _PARQUET,
        ),
        Reader(
            "indexes",
            other_seeds.indexes,
            (_look_at("faces.index"), _by_parts("faces.index")),
            ((".index", change_table),),
            _reindex,
        ),
        Reader("arrays", other_seeds.arrays, (_the_images,), _NUMPY),
        Reader(
            "idx",
            other_seeds.idx,
            (_the_images,),
            ((".gz", change_gzip(change_idx)), ("", change_idx)),
        ),
    ),
    "tables": (
        Reader(
            "tables",
            other_seeds.tables,
            (_where, _chosen, _groups, _partition),
            (
                (".csv", change_table),
                ("partition.txt", change_table),
                ("where.txt", change_condition),
            ),
        ),
        Reader(
            "labels",
            other_seeds.labels,
            (_labels,),
            (
                (".csv", change_table),
                (".npz", change_zip(change_npy)),
                (".gz", change_gzip(change_idx)),
                ("", change_idx),
            ),
        ),
        Reader(
            "lists",
            other_seeds.lists,
            (_listed, _taken, _left_out),
            ((".txt", change_table), (".csv", change_table)),
        ),
    ),
    "foreign": (
        Reader(
            "pickles",
            other_seeds.pickles,
            (_inspect, _import),
            (
                ("legacy.pt", change_legacy),
                ("older.pt", change_legacy),
                (".pt", change_zip(change_pickle)),
                (".pkl", change_pickle),
            ),
        ),
        Reader("tensors", other_seeds.tensors, (_inspect, _import, _import_knowing), _TENSORS),
        Reader("streams", other_seeds.streams, (_inspect, _import), ((".pkl", change_pickle),)),
        Reader("bundles", other_seeds.bundles, (_inspect, _import), ((".index", change_index),)),
        Reader("keras", other_seeds.keras, (_inspect, _import), _HDF5),
        Reader("numpy", other_seeds.arrays, (_inspect,), _NUMPY),
        Reader("tables of HDF5", own_seeds.hdf5_images, (_inspect,), _HDF5),
        Reader("graphs", other_seeds.graphs, (_graph,)),
        Reader("model folders", other_seeds.model_folders, (_model_folder,), _JSON),
        Reader("projects", other_seeds.projects, (_project,)),
    ),
}
