"""Codes written in each format, and read as they were: by us and by other programs."""

import json
import subprocess
import sys

import h5py
import numpy as np
import pandas
import pyarrow
import pyarrow.parquet
import pytest

from latentmap.codes import Codes, Space, export_codes, open_code_file, read_codes, table_output
from latentmap.codes.export import CODE_FORMATS
from latentmap.errors import OutputError, SpaceError
from latentmap.frames import Frame

N, D = 50, 12
SPACE = Space("z", D, "vae", "ab" * 32, (3, 2, 2))
VECTORS = np.random.default_rng(0).standard_normal((N, D)).astype(np.float32)
VECTORS[0, :4] = [-0.0, 1e-45, -3.4e38, 5e-324]  # Zeros with a sign, and the smallest and largest.
IDS = [f"größe/{number:03}.png" for number in range(N)]
FRAME = Frame("celeba", "pillow-box")


def export(path, *, ids=IDS, vectors=VECTORS, space=SPACE, force=False, **options):
    codes = Codes.from_array(ids, vectors, space=space, frame=FRAME, data="dd")
    export_codes(codes, path, provenance={"of": "tests"}, force=force, **options)
    return path


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("kind", CODE_FORMATS)
def test_codes_come_back_bit_for_bit(tmp_path, kind, monkeypatch):
    # In blocks and groups of rows of which the last is smaller.
    monkeypatch.setattr("latentmap.codes.codes._NUMBERS", 8 * D)
    monkeypatch.setattr(table_output, "_GROUP", 8 * D)
    path = export(tmp_path / f"codes.{kind}")
    for codes in (read_codes(path, space=SPACE, frame=FRAME), open_code_file(path)):
        assert codes.rows.read(0, N).tobytes() == VECTORS.tobytes()
        assert codes.ids.tolist() == IDS
        assert codes.frame == (FRAME if kind != "npy" or isinstance(codes, Codes) else None)
    found = open_code_file(path)
    if kind == "npy":
        assert (found.space, found.data) == (None, "")
        assert names_in(tmp_path) == ["codes.ids.txt", "codes.npy"]
    else:
        assert (found.space, found.data) == (SPACE, "dd")
        assert names_in(tmp_path) == [f"codes.{kind}"]


def test_a_suffix_says_the_format_in_any_letters_and_an_option_where_none_does(tmp_path):
    assert h5py.is_hdf5(export(tmp_path / "a.hdf5"))
    assert pyarrow.parquet.read_metadata(export(tmp_path / "A.PARQUET")).num_rows == N
    export(tmp_path / "a.bin", format="npy")
    assert np.array_equal(np.load(tmp_path / "a.bin"), VECTORS)
    assert (tmp_path / "a.ids.txt").read_text(encoding="utf-8").splitlines() == IDS
    export(tmp_path / "b.npz", format="npz")
    with pytest.raises(OutputError, match=r"c\.npz ends as a file of npz does, and h5 is asked"):
        export(tmp_path / "c.npz", format="h5")
    with pytest.raises(OutputError, match=r"must end in \.npz, \.npy, \.h5, \.hdf5 or \.parquet"):
        export(tmp_path / "c.lance")
    assert not [name for name in names_in(tmp_path) if name.startswith("c")]


def test_other_programs_read_a_table_as_arrays(tmp_path, monkeypatch):
    monkeypatch.setattr(table_output, "_GROUP", 16 * D)
    path = export(tmp_path / "codes.parquet")
    table = pyarrow.parquet.read_table(path)
    table.validate(full=True)
    assert table.schema.field("id").type == pyarrow.string()
    kind = table.schema.field("codes").type
    assert (pyarrow.types.is_fixed_size_list(kind), kind.list_size) == (True, D)
    assert kind.value_type == pyarrow.float32()
    flat = table["codes"].combine_chunks().flatten().to_numpy()
    assert flat.reshape(N, D).tobytes() == VECTORS.tobytes()
    frame = pandas.read_parquet(path)
    assert np.stack(frame["codes"]).tobytes() == VECTORS.tobytes()
    assert frame["id"].tolist() == IDS
    found = pyarrow.parquet.read_metadata(path)
    assert [found.row_group(i).num_rows for i in range(found.num_row_groups)] == [16, 16, 16, 2]
    assert json.loads(found.metadata[b"latentmap"])["of"] == "tests"


def test_numpy_reads_arrays_without_unpacking_them(tmp_path):
    export(tmp_path / "codes.npy")
    mapped = np.load(tmp_path / "codes.npy", mmap_mode="r")
    assert (mapped.dtype, mapped.shape, mapped.flags.c_contiguous) == (np.float32, (N, D), True)
    export(tmp_path / "codes.npz")
    with np.load(tmp_path / "codes.npz") as arrays:
        assert arrays["codes"].tobytes() == VECTORS.tobytes()
        assert arrays["ids"].tolist() == IDS


def test_thumbnails_stand_beside_the_codes(tmp_path, monkeypatch):
    monkeypatch.setattr(table_output, "_BYTES", 100)
    files = [bytes([number]) * 30 for number in range(N)]
    path = export(tmp_path / "codes.parquet", thumbnails=iter(files))
    table = pyarrow.parquet.read_table(path)
    images = table["image"].to_pylist()
    assert images == [{"bytes": file, "path": name} for file, name in zip(files, IDS, strict=True)]
    features = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
    assert features["image"] == {"_type": "Image"}
    assert features["codes"]["length"] == D
    # As many as have room.
    assert pyarrow.parquet.read_metadata(path).row_group(0).num_rows == 4
    assert read_codes(path, space=SPACE).rows.read(0, N).tobytes() == VECTORS.tobytes()
    with pytest.raises(OutputError, match="thumbnails go into Parquet, not npz"):
        export(tmp_path / "codes.npz", thumbnails=iter(files))


@pytest.mark.parametrize("bad", ["a\nb.png", "a\u2028b", "", "\ufeffa.png", "\udcff.png"])
def test_ids_that_are_no_lines_are_refused_beside_an_array(tmp_path, bad):
    with pytest.raises(OutputError, match=r"is no line of a text.*: export .npz or .h5"):
        export(tmp_path / "codes.npy", ids=[*IDS[:-1], bad])
    assert names_in(tmp_path) == []


def test_ids_that_are_no_utf_8_are_refused_in_a_table(tmp_path):
    with pytest.raises(OutputError, match=r"the id '\\udcff.png' is no UTF-8, as texts in Parquet"):
        export(tmp_path / "codes.parquet", ids=[*IDS[:-1], "\udcff.png"])
    assert names_in(tmp_path) == []


def test_an_array_and_its_ids_are_replaced_together(tmp_path):
    path = export(tmp_path / "codes.npy")
    with pytest.raises(OutputError, match=r"codes\.npy exists"):
        export(path)
    before = path.read_bytes()
    with pytest.raises(OutputError, match="is no line"):
        export(path, ids=[*IDS[:-1], ""], vectors=-VECTORS, force=True)
    assert path.read_bytes() == before
    export(path, ids=IDS[::-1], vectors=-VECTORS, force=True)
    found = open_code_file(path)
    assert found.ids.tolist() == IDS[::-1]
    assert np.array_equal(found.rows.read(0, N), -VECTORS)
    path.unlink()
    with pytest.raises(OutputError, match=r"codes\.ids\.txt exists"):
        export(path)


def test_a_full_disk_leaves_an_array_and_its_ids_as_they_were(tmp_path, monkeypatch):
    path = export(tmp_path / "codes.npy")
    before = [one.read_bytes() for one in sorted(tmp_path.iterdir())]

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("latentmap.codes.export.write_ids", full)
    with pytest.raises(OutputError, match=r"codes\.npy could not be written: No space left on dev"):
        export(path, vectors=-VECTORS, force=True)
    assert [one.read_bytes() for one in sorted(tmp_path.iterdir())] == before


def test_ids_beside_an_array_have_to_fit(tmp_path):
    path = export(tmp_path / "codes.npy")
    (tmp_path / "codes.ids.txt").write_text("a\nb\n")
    with pytest.raises(SpaceError, match=r"50 codes, and ids of shape \(2,\)"):
        open_code_file(path)
    (tmp_path / "codes.ids.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(SpaceError, match=r"codes\.ids\.txt cannot be read as ids"):
        open_code_file(path)


def test_a_table_that_was_changed_or_cut_off_is_refused(tmp_path):
    path = export(tmp_path / "codes.parquet")
    whole = path.read_bytes()
    place = whole.index(VECTORS[3].tobytes()[:16])
    for content in (
        whole[: len(whole) // 2],
        whole[:-1],
        b"",
        whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :],
    ):
        path.write_bytes(content)
        with pytest.raises(SpaceError, match=r"codes\.parquet cannot be read as codes \(.+\): w"):
            read_codes(path, space=SPACE)


@pytest.mark.parametrize(
    "provenance", [b"\xff", "[", "3", '{"space": {"kind": "z"}}', '{"frame": "full"}']
)
def test_metadata_that_make_no_sense_are_refused(tmp_path, provenance):
    path = export(tmp_path / "codes.parquet")
    table = pyarrow.parquet.read_table(path).replace_schema_metadata({"latentmap": provenance})
    pyarrow.parquet.write_table(table, path)
    with pytest.raises(SpaceError, match="cannot be read as codes"):
        read_codes(path, space=SPACE)


def test_a_column_id_is_that_of_ids_where_it_may_hold_some(tmp_path):
    lists = pyarrow.array(list(VECTORS))
    for ids, found in (
        ({"id": IDS}, IDS),
        ({"id": range(N)}, list(map(str, range(N)))),
        ({"id": np.ones(N)}, None),
        ({"id": range(N), "ids": IDS}, IDS),
    ):
        columns = {name: pyarrow.array(list(values)) for name, values in ids.items()}
        pyarrow.parquet.write_table(
            pyarrow.table({**columns, "codes": lists}), tmp_path / "a.parquet"
        )
        names = open_code_file(tmp_path / "a.parquet").ids
        assert (None if names is None else names.tolist()) == found


def test_without_pyarrow_the_line_to_install_it_is_said(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(OutputError, match=r'written with pyarrow.*pip install "latentmap\[parquet'):
        export(tmp_path / "codes.parquet")


MEMORY = """
import resource, sys
import numpy as np
import h5py, pyarrow.parquet
from latentmap.codes import Codes, Space, export_codes
from latentmap.frames import Frame

class Zeros:
    shape = (60_000, 512)
    def read(self, start, stop):
        return np.zeros((stop - start, 512), np.float32)

ids = np.array([f"{number:09}.jpg" for number in range(60_000)])
digests = np.zeros((60_000, 16), np.uint8)
codes = Codes(ids, Zeros(), Space("z", 512, "a", "aa"), Frame(), "", digests)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
export_codes(codes, sys.argv[1], provenance={}, force=False)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize("kind", CODE_FORMATS)
def test_memory_holds_a_block_of_the_codes(tmp_path, kind):
    path = tmp_path / f"codes.{kind}"
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, path], capture_output=True, text=True, check=True
    )
    assert path.stat().st_size > 120_000_000
    assert int(done.stdout) * 1024 < 80_000_000, done.stdout
