"""Images in Parquet tables, one or a set, are those that their rows hold."""

import builtins
import io

import numpy as np
import pytest
from PIL import Image

from latentmap.errors import ImageError
from latentmap.frames import Frame
from latentmap.images import View, open_images, parquet_sets
from latentmap.limits import raised_limits
from tests.core.images.test_tars import png

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

VIEW = View(Frame(), (4, 6), 1)
HUGGING = pa.struct({"bytes": pa.binary(), "path": pa.string()})


def pictures(values, kind=HUGGING):
    if kind == HUGGING:
        return pa.array([{"bytes": png(v), "path": f"{v}.png"} for v in values], kind)
    return pa.array([png(v) for v in values], kind)


def write(path, columns, group=4, **options):
    pq.write_table(pa.table(columns), path, row_group_size=group, **options)
    return path


def values_of(source):
    batches = list(source.batches([VIEW], batch_size=7, threads=3))
    return np.concatenate([batch.images[0][:, 0, 0, 0].numpy() for batch in batches]).tolist()


@pytest.mark.parametrize("kind", [HUGGING, pa.binary(), pa.large_binary()])
@pytest.mark.parametrize("group", [1, 4, 5, 100])
@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_a_table_gives_its_rows(tmp_path, kind, group, compression):
    values = list(range(200, 230))
    columns = {"label": values, "image": pictures(values, kind)}
    path = write(tmp_path / "a.parquet", columns, group, compression=compression)
    source = open_images(path)
    assert source.ids.tolist() == [str(k) for k in range(30)]
    assert values_of(source) == values
    order = np.random.default_rng(0).permutation(30)
    assert values_of(source.subset(order)) == np.array(values)[order].tolist()
    assert source.choice.file == "a.parquet" and source.labels is None


def test_its_images_are_those_of_a_folder(tmp_path):
    names = [f"{v}.png" for v in range(200, 220)]
    for v, name in zip(range(200, 220), names, strict=True):
        (tmp_path / name).write_bytes(png(v))
    write(tmp_path / "a.parquet", {"image": pictures(range(200, 220)), "id": names})
    source = open_images(tmp_path / "a.parquet")
    assert source.fingerprint == open_images(tmp_path).fingerprint
    assert source.shapes.tolist() == [[4, 6, 1]] * 20


@pytest.mark.parametrize(
    ("columns", "ids"),
    [
        ({"id": ["a", "b", "c"], "key": ["x", "y", "z"]}, ["a", "b", "c"]),
        ({"key": [30, 10, 20], "path": ["x", "y", "z"]}, ["30", "10", "20"]),
        ({"path": pa.array(["x/1", "y", "z"], pa.large_string())}, ["x/1", "y", "z"]),
        ({"id": [0.5, 1.5, 2.5]}, ["0", "1", "2"]),
        ({"id": [b"a", b"b", b"c"], "path": ["x", "y", "z"]}, ["x", "y", "z"]),
    ],
)
def test_ids_are_a_column_or_the_rows(tmp_path, columns, ids):
    path = write(tmp_path / "a.parquet", {**columns, "image": pictures([200, 201, 202])}, 2)
    assert open_images(path).ids.tolist() == ids


def test_the_column_of_images_may_be_said(tmp_path):
    some, others = pictures([200, 201]), pictures([210, 211], pa.binary())
    path = write(tmp_path / "a.parquet", {"front": some, "side": others})
    assert values_of(open_images(f"{path}:/side")) == [210, 211]
    assert values_of(open_images(f"{path}:/front")) == [200, 201]
    assert open_images(f"{path}:/side").choice.file == "a.parquet:/side"
    alone = write(tmp_path / "b.parquet", {"side": others, "text": ["a", "b"]})
    assert values_of(open_images(alone)) == [210, 211]
    assert values_of(open_images(f"{tmp_path}/[ab].parquet:/side")) == [210, 211] * 2


def test_a_set_is_its_tables_in_natural_order(tmp_path):
    for k in (10, 9):
        write(tmp_path / f"a-{k}.parquet", {"image": pictures([10 * k + i for i in range(7)])})
    source = open_images(tmp_path / "a-{9..10}.parquet", value_range=(0, 255))
    assert source.ids.tolist() == [f"a-{k}/{i}" for k in (9, 10) for i in range(7)]
    assert values_of(source) == [10 * k + i for k in (9, 10) for i in range(7)]
    assert source.labels is None


def test_few_groups_are_kept_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_sets, "_KEPT", 0)
    # With a range nobody looks at images before.
    path = write(tmp_path / "a.parquet", {"image": pictures(range(200, 240))})
    source = open_images(path, value_range=(0, 255))
    begun = []
    real = parquet_sets.ParquetImages._unpacked
    monkeypatch.setattr(
        parquet_sets.ParquetImages,
        "_unpacked",
        lambda self, number, group: begun.append(group) or real(self, number, group),
    )
    for k in range(40):
        source.read(k)
        assert len(source._container._groups) <= 2
    assert begun == list(range(10))
    source.read(0)
    assert begun[-1] == 0


def test_a_row_without_bytes_is_an_image_that_cannot_be_read(tmp_path):
    rows = pa.array([{"bytes": png(200)}, None, {"path": "elsewhere.png"}], HUGGING)
    source = open_images(write(tmp_path / "a.parquet", {"image": rows}))
    assert source.shapes[:, 0].tolist() == [4, 0, 0]
    for k in (1, 2):
        with pytest.raises(ImageError, match=rf"image '{k}' of .* its row in the table has no byt"):
            source.read(k)
    assert values_of(source.subset([0])) == [200]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"a": [1]}, "it has no column of images, but a"),
        ({"a": [b"x"], "b": [b"y"]}, r"it has images in a, b: say which, as FILE:/NAME"),
        ({"image": ["x"], "id": [1]}, r"images are bytes, and its column 'image' is string"),
        ({"image": [png(9)] * 2, "id": ["a", "a"]}, r"a.parquet has 'a' twice in 'id'"),
        ({"image": [png(9)] * 2, "id": ["a", None]}, r"a.parquet has rows without 'id'"),
        ({"image": [png(9)] * 2, "id": ["a", ""]}, r"a.parquet has rows without 'id'"),
        ({"image": pa.array([], pa.binary())}, r"a.parquet holds no images"),
    ],
)
def test_what_is_no_table_of_images_is_refused(tmp_path, columns, message):
    path = write(tmp_path / "a.parquet", columns)
    with pytest.raises(ImageError, match=message):
        open_images(path)


def test_a_column_that_is_not_there_is_said(tmp_path):
    path = write(tmp_path / "a.parquet", {"image": [png(200)]})
    with pytest.raises(ImageError, match="it has no column of images, but image"):
        open_images(f"{path}:/photo")


@pytest.mark.parametrize("damage", ["cut off", "no table", "empty", "pages"])
def test_a_damaged_table_is_one_line(tmp_path, damage):
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, 500, np.uint8).tobytes() for _ in range(20)]
    path = write(tmp_path / "a.parquet", {"image": noise}, compression="zstd")
    data = path.read_bytes()
    bad = {"cut off": data[:3000], "no table": b"PAR1" * 9, "empty": b"", "pages": None}[damage]
    path.write_bytes(data[:50] + bytes(2000) + data[2050:] if bad is None else bad)
    with pytest.raises(
        ImageError, match=r"a.parquet (is empty|cannot be read as a table of images)"
    ):
        open_images(path).read(0)


def test_a_table_that_packs_more_than_files_may_is_refused(tmp_path):
    """The same picture of 3 MB a hundred times, which a dictionary packs into one."""
    buffer = io.BytesIO()
    Image.new("L", (1000, 3000), 200).save(buffer, "BMP")
    table = pa.table({"image": pa.array([buffer.getvalue()] * 100, pa.binary())})
    pq.write_table(table, tmp_path / "a.parquet", compression="zstd", row_group_size=100)
    size = (tmp_path / "a.parquet").stat().st_size
    assert size < 100_000
    source = open_images(tmp_path / "a.parquet")
    with pytest.raises(ImageError, match=r"takes more than \d+ bytes unpacked.*raise the limit"):
        source.read(99)
    with raised_limits({"unpacked": 100_000}):
        assert open_images(tmp_path / "a.parquet").read(99).shape == (3000, 1000, 1)


def test_a_group_that_claims_too_much_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    path = write(tmp_path / "a.parquet", {"image": pictures([200])})
    source = open_images(path, value_range=(0, 255))
    monkeypatch.setattr(parquet_sets.ImageTable, "unpacked_size", lambda self, group: 1 << 50)
    monkeypatch.setattr(parquet_sets.ImageTable, "images", None)
    with pytest.raises(ImageError, match=r"takes more than (half|\d+ bytes unpacked)"):
        source.read(0)


def test_more_rows_than_bytes_are_refused(tmp_path):
    rows = pa.table({"image": pa.nulls(1_000_000, pa.binary())})
    pq.write_table(rows, tmp_path / "a.parquet", compression="zstd")
    with pytest.raises(ImageError, match=r"it says to have 1000000 images in \d+ bytes"):
        open_images(tmp_path / "a.parquet")


def test_a_table_that_is_written_to_meanwhile_is_told(tmp_path):
    path = write(tmp_path / "a.parquet", {"image": pictures([200])})
    source = open_images(path, value_range=(0, 255))
    write(path, {"image": pictures([201, 202])})
    with pytest.raises(ImageError, match="was written to since it was listed: begin again"):
        source.read(0)


def test_who_lacks_pyarrow_is_told_what_to_install(tmp_path, monkeypatch):
    path = write(tmp_path / "a.parquet", {"image": pictures([200])})
    real = builtins.__import__

    def refuse(name, *rest):
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ImageError, match=r'not installed: pip install "latentmap\[parquet\]"'):
        open_images(path)
