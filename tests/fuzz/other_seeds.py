"""Seeds of the files of others, each as it should be: pictures, archives, tables, checkpoints."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import safetensors.torch
import torch
from PIL import Image, features

from latentmap.images.indexing import write_index
from tests.encoders import foreign_writers, naive_tiny_autoencoder, nvlabs_writer
from tests.encoders.bundle_writer import object_graph, write_bundle
from tests.encoders.hostile_corpus import INERT, REFUSED, saved
from tests.encoders.keras_writer import split_vae, write_keras3, write_weights, write_whole
from tests.fuzz.cases import Case, write_case
from tests.fuzz.own_seeds import pixels, written


def _encoded(end: str, image: Image.Image, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, Image.registered_extensions()[end], **options)
    return stream.getvalue()


def pictures(_: Path) -> list[Case]:
    """A picture in each format that Pillow writes and we read, in more than one mode."""
    Image.init()
    grey = Image.fromarray(pixels(1, 16)[0])
    colour = Image.merge("RGB", (grey, grey.rotate(90), grey.rotate(180)))
    deep = Image.fromarray(pixels(1, 16)[0].astype(np.uint16) * 257)
    alpha = colour.copy()
    alpha.putalpha(grey)
    ends = [".jpg", ".png", ".gif", ".bmp", ".ppm", ".webp", ".tif", ".dib", ".jp2", ".ico"]
    ends += [
        ".dds",
        ".pcx",
        ".sgi",
        ".tga",
        ".qoi",
        ".mpo",
        *([".avif"] if features.check("avif") else []),
    ]
    made = {f"a{end}": _encoded(end, colour) for end in ends}
    made |= {
        f"g{end}": _encoded(end, grey) for end in (".jpg", ".png", ".pgm", ".tif", ".sgi", ".tga")
    }
    made |= {f"d{end}": _encoded(end, deep) for end in (".png", ".tif", ".pgm")}
    made |= {f"t{end}": _encoded(end, alpha) for end in (".png", ".webp", ".tif", ".tga", ".dds")}
    made["p.png"] = _encoded(".png", colour.quantize(8))
    made["q.jpg"] = _encoded(".jpg", colour.convert("CMYK"))
    made["s.jpg"] = _encoded(".jpg", colour, progressive=True)
    made["l.tif"] = _encoded(".tif", colour, compression="tiff_lzw")
    made["j.tif"] = _encoded(".tif", colour, compression="jpeg")
    made["b.pbm"] = _encoded(".pbm", grey.convert("1"))
    made["x.xbm"] = _encoded(".xbm", grey.convert("1"))
    made["m.gif"] = _encoded(".gif", colour, save_all=True, append_images=[grey.convert("RGB")])
    turned = Image.Exif()
    turned[0x0112] = 6
    made["e.jpg"] = _encoded(".jpg", colour, exif=turned)
    made["f.pfm"] = b"Pf\n4 4\n-1.0\n" + np.linspace(0, 1, 16, dtype="<f4").tobytes()
    made["w.ppm"] = b"P3 2 2 1023\n" + b"1 2 3 " * 4
    return [{f"images/{name}": data, "images/z.png": made["g.png"]} for name, data in made.items()]


_PARTITION = b"a.png 0\nb.png 1\nc.jpg 2\n"


def _three() -> dict[str, bytes]:
    image = Image.fromarray(pixels(1, 8)[0])
    return {
        "a.png": _encoded(".png", image),
        "b.png": _encoded(".png", image.rotate(90)),
        "c.jpg": _encoded(".jpg", image),
    }


def zips(_: Path) -> list[Case]:
    """A zip archive of images with their partition."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in {**_three(), "list_eval_partition.txt": _PARTITION}.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return [{"images.zip": stream.getvalue()}]


def tars(_: Path) -> list[Case]:
    """A tar archive of images, under the names that it has plain and packed."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, data in {**_three(), "list_eval_partition.txt": _PARTITION}.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return [{"images.tar": stream.getvalue()}]


def tar_sets(folder: Path) -> list[Case]:
    """Two tar archives that are one set."""
    (case,) = tars(folder)
    return [{"a-0.tar": case["images.tar"], "a-1.tar": case["images.tar"]}]


def image_tables(_: Path) -> list[Case]:
    """Tables of images as bytes, and as Hugging Face's data sets have them."""
    files = _three()
    rows = [{"bytes": data, "path": name} for name, data in files.items()]
    kind = pyarrow.struct({"bytes": pyarrow.binary(), "path": pyarrow.string()})
    columns = (
        {"image": pyarrow.array(rows, kind), "id": list(files)},
        {"image": list(files.values()), "label": [1, 2, 3]},
    )
    cases: list[Case] = []
    for column in columns:
        stream = io.BytesIO()
        pyarrow.parquet.write_table(pyarrow.table(column), stream, row_group_size=2)
        cases.append({"images.parquet": stream.getvalue()})
    return cases


def indexes(folder: Path) -> list[Case]:
    """A folder of images and its index."""
    case: Case = {f"faces/{name}": data for name, data in _three().items()}
    place = folder / "indexed"
    write_case(case, place)
    write_index(place / "faces", place / "faces.index")
    return [{**case, "faces.index": (place / "faces.index").read_bytes()}]


def arrays(_: Path) -> list[Case]:
    """Images as arrays, and several in one file."""
    made = (
        pixels(3),
        pixels(3)[..., None].astype(np.float32) / 255,
        pixels(3).astype(np.uint16),
    )
    cases: list[Case] = []
    for array in made:
        stream = io.BytesIO()
        np.save(stream, array)
        cases.append({"images.npy": stream.getvalue()})
    stream = io.BytesIO()
    np.savez(stream, images=made[0], labels=np.arange(3))
    return [*cases, {"images.npz": stream.getvalue()}]


def idx(_: Path) -> list[Case]:
    """IDX, plain and packed."""
    data = bytes([0, 0, 8, 3]) + struct.pack(">3I", 3, 4, 4) + pixels(3).tobytes()
    return [{"images-idx3-ubyte": data}, {"images.gz": gzip.compress(data, mtime=0)}]


def tables(_: Path) -> list[Case]:
    """Images with each kind of table about them."""
    images = {f"images/{name}": data for name, data in _three().items()}
    names = ("a.png", "b.png", "c.jpg")
    csv = "file,Smiling,Young,5_o_Clock\n" + "".join(f"{n},1,-1,x{n}\n" for n in names)
    celeba = "3\nSmiling Young\n" + "".join(f"{n} 1 -1\n" for n in names)
    groups = "file,identity\n" + "".join(f"{n},{n[:1]}\n" for n in names)
    partition = "image_id,partition\n" + "".join(f"{n},{i}\n" for i, n in enumerate(names))
    where = b"Smiling == 1 and not ( Young > 0 ) or Smiling != 2"
    others = {"attributes.csv": csv.encode(), "groups.csv": groups.encode(), "where.txt": where}
    return [
        {**images, **others, "images/list_eval_partition.csv": partition.encode()},
        {**images, **others, "attributes.csv": celeba.encode()},
        {**images, **others, "images/list_eval_partition.txt": _PARTITION},
    ]


def labels(_: Path) -> list[Case]:
    """Images with labels beside them, in their file, and in a table."""
    images = bytes([0, 0, 8, 3]) + struct.pack(">3I", 3, 4, 4) + pixels(3).tobytes()
    beside = bytes([0, 0, 8, 1]) + struct.pack(">I", 3) + bytes([2, 0, 2])
    table = b"file,kind,number\n0,cat,1\n1,dog,2.5\n2,cat,3\n"
    cases: list[Case] = [
        {"images-idx3-ubyte": images, "labels-idx1-ubyte": beside, "labels.csv": table},
        {"images-idx3-ubyte": images, "labels-idx1-ubyte.gz": gzip.compress(beside, mtime=0)},
    ]
    for known in (np.array(["cat", "dog", "cat"]), np.array([0.5, 2, 0])):
        stream = io.BytesIO()
        np.savez(stream, images=pixels(3), labels=known)
        cases.append({"images.npz": stream.getvalue(), "labels.csv": table})
    return cases


def lists(_: Path) -> list[Case]:
    """Images with a list of those that are taken, or left out."""
    images = {f"images/{name}": data for name, data in _three().items()}
    return [
        {**images, "ids.txt": b"a.png\nimages/b.png\nx.png\n"},
        {**images, "ids.csv": b'file,n\na.png,1\n"b.png",2\n'},
    ]


def _torch_seeds() -> dict[str, Callable[[Path], object]]:
    config = {**foreign_writers.STYLEGAN2, "image_shape": [3, 8, 8], "channels": [4, 3]}
    weights = foreign_writers.random_weights("stylegan2", config)
    rosinality = foreign_writers.rosinality_converted(config, weights)
    genforce = {"generator_smooth": foreign_writers.genforce_stylegan2(config, weights)}
    dcgan = {"main.0.weight": torch.ones(3, 4, 4, 4), "main.3.weight": torch.ones(4, 1, 4, 4)}
    return {
        "zip.pt": lambda path: foreign_writers.save(rosinality, path),
        "legacy.pt": lambda path: foreign_writers.save(genforce, path, legacy=True),
        "small.pt": lambda path: path.write_bytes(saved(dcgan, zipped=True)),
        "older.pt": lambda path: path.write_bytes(saved({**dcgan, "args": [1, {"a": 2.5}]})),
        "tiny.pt": lambda path: path.write_bytes(saved(_tiny_encoder(), zipped=True)),
        "nvlabs.pkl": lambda path: nvlabs_writer.write(path, _nvlabs(config, weights)),
    }


def _tiny_encoder() -> dict[str, Any]:
    return naive_tiny_autoencoder.encoder_state(2, width=2)


def _chains() -> dict[str, Any]:
    """An encoder and a decoder of images of 8 pixels."""
    norm = {"bias": torch.ones(2), "running_mean": torch.ones(2), "running_var": torch.ones(2)}
    return {
        "encoder.0.weight": torch.ones(2, 1, 5, 5),
        "encoder.1.weight": torch.ones(2),
        **{f"encoder.1.{name}": values for name, values in norm.items()},
        "encoder.3.weight": torch.ones(3, 32),
        "decoder.0.weight": torch.ones(32, 3),
        "decoder.2.weight": torch.ones(2, 1, 5, 5),
    }


def _example() -> dict[str, Any]:
    shapes = {"fc1": (3, 16), "fc21": (2, 3), "fc22": (2, 3), "fc3": (3, 2), "fc4": (16, 3)}
    weights = {f"{name}.weight": torch.ones(shape) for name, shape in shapes.items()}
    return weights | {f"{name}.bias": torch.ones(shape[0]) for name, shape in shapes.items()}


def _nvlabs(config: dict[str, Any], weights: dict[str, Any]) -> dict[str, Any]:
    return {
        "G": None,
        "D": nvlabs_writer.discriminator(),
        "G_ema": nvlabs_writer.generator(config, weights),
    }


def pickles(folder: Path) -> list[Case]:
    """Checkpoints of PyTorch in each form."""
    return [written(folder, name, write) for name, write in _torch_seeds().items()]


def tensors(_: Path) -> list[Case]:
    """Checkpoints of others as safetensors."""
    config = {**foreign_writers.STYLEGAN2, "image_shape": [3, 8, 8], "channels": [4, 3]}
    weights = foreign_writers.random_weights("stylegan2", config)
    whole = foreign_writers.rosinality_converted(config, weights)["g_ema"]
    data = safetensors.torch.save({name: one.contiguous() for name, one in whole.items()})
    others = [safetensors.torch.save(state) for state in (_tiny_encoder(), _chains(), _example())]
    return [{"checkpoint.safetensors": one} for one in (data, *others)]


def streams(_: Path) -> list[Case]:
    """Pickles that mean harm, or are no checkpoints."""
    made = [*INERT.values(), *(data for data, _ in REFUSED.values())]
    value = {"G": [torch.ones(3), np.arange(4.0)], "s": {1}}
    made += [pickle.dumps(value, protocol) for protocol in (0, 2, 4)]
    return [{"stream.pkl": data} for data in made if len(data) < 100_000]


def bundles(folder: Path) -> list[Case]:
    """A checkpoint of TensorFlow with the graph of its objects."""
    arrays_ = {
        f"{key}/.ATTRIBUTES/VARIABLE_VALUE": np.ones((2, 3), np.float32)
        for key in ("a/kernel", "b")
    }
    graph = object_graph({"a": {"kernel": 0}, "b": 1}, ["a/kernel:0", "b:0"], list(arrays_))
    return [written(folder, "ckpt", partial(write_bundle, variables=arrays_, graph=graph))]


def _field(number: int, content: bytes) -> bytes:
    """A field of a protocol buffer, shorter than 128 bytes."""
    return bytes([number << 3 | 2, len(content)]) + content


def graphs(_: Path) -> list[Case]:
    """ONNX graphs with numbers inside, beside, and beside of a graph in a graph."""
    place = _field(13, _field(1, b"location") + _field(2, b"numbers"))
    beside, inside = _field(5, place + _field(8, b"w")), _field(5, _field(9, bytes(16)))
    node = _field(1, _field(3, b"If") + _field(5, _field(6, beside)))
    made = [_field(7, part) for part in (inside, beside, node, node + inside + beside)]
    return [{"graph.onnx": b"\x08\x09" + data, "numbers": bytes(16)} for data in made]


def model_folders(_: Path) -> list[Case]:
    """What other libraries write of a model, but for the weights."""
    config = {"model_type": "vit", "image_size": 8, "num_channels": 3}
    seen = {
        "do_center_crop": True,
        "crop_size": {"height": 8, "width": 8},
        "size": {"shortest_edge": 10},
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "rescale_factor": 1 / 255,
        "resample": 3,
    }
    index = {"metadata": {}, "weight_map": {"w": "model-00001-of-00001.safetensors"}}
    return [
        {
            "config.json": json.dumps(config).encode(),
            "preprocessor_config.json": json.dumps(seen).encode(),
            "model.safetensors.index.json": json.dumps(index).encode(),
            "model-00001-of-00001.safetensors": b"",
        }
    ]


def projects(_: Path) -> list[Case]:
    """Short names of a project."""
    text = '[models]\na = "vae"\n"b.c" = "pixels:8?size=8x8"\n[other]\nx = [1, {y = 2.5}]\n'
    return [{"latentmap.toml": text.encode()}]


def keras(folder: Path) -> list[Case]:
    """Weights of Keras in each layout."""
    parts = split_vae((1, 2), (4, 4, 2, 1), channels=1, latent_dim=2, embedding=3)
    description = json.dumps({"class_name": "Functional", "config": {"layers": []}})
    writers = (
        partial(write_weights, models=parts),
        partial(write_whole, models=parts, config=description),
        partial(write_keras3, models=parts),
    )
    return [written(folder, "weights.h5", write) for write in writers]
