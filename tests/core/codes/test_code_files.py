"""Files of codes of any program: each kind, what is kept of it, and what is refused."""

import io
import json
import tarfile

import h5py
import numpy as np
import pytest

from latentmap.codes import Codes, Space, export_codes
from latentmap.codes.code_file import open_code_file
from latentmap.codes.code_readers import is_code_file
from latentmap.codes.ids_file import read_ids
from latentmap.errors import PairError, SpaceError
from latentmap.limits import raised_limits

N = 50
GRID = np.random.default_rng(0).standard_normal((N, 3, 2, 2)).astype(np.float32)
FLAT = GRID.reshape(N, 12)
IDS = np.array([f"größe/{number:03}.png" for number in range(N)])


def tar(path, codes, names, end="npy"):
    with tarfile.open(path, "w") as archive:
        for name, code in zip(names, codes, strict=True):
            content = io.BytesIO()
            np.save(content, code)
            member = tarfile.TarInfo(f"{name}.{end}")
            member.size = len(content.getvalue())
            archive.addfile(member, io.BytesIO(content.getvalue()))
    return path


def write(folder, kind):
    """The codes as a file of some kind; its path as it is given."""
    if kind == "npz":
        np.savez(folder / "a.npz", codes=GRID, ids=IDS)
    elif kind == "compressed":
        np.savez_compressed(folder / "a.npz", z=GRID, ids=IDS.astype(object).astype("U"))
    elif kind == "npy":
        np.save(folder / "a.npy", GRID)
    elif kind == "columns":
        np.save(folder / "a.npy", np.asfortranarray(GRID))
    elif kind == "packed columns":
        np.savez_compressed(folder / "a.npz", z=np.asfortranarray(GRID), ids=IDS)
    elif kind == "big-endian":
        np.savez(folder / "a.npz", z=GRID.astype(">f8"), ids=IDS)
    elif kind == "h5":
        with h5py.File(folder / "a.h5", "w") as file:
            file["codes"], file["ids"] = GRID, [str(name) for name in IDS]
    elif kind == "packed h5":
        with h5py.File(folder / "a.h5", "w") as file:
            file.create_dataset("z", data=GRID, chunks=(8, 3, 2, 2), compression="gzip")
            file["ids"] = np.char.encode(IDS)
    elif kind == "tar":
        tar(folder / "a-00.tar", GRID[:30], IDS[:30], "codes.npy")
        tar(folder / "a-01.tar", GRID[30:], IDS[30:], "codes.npy")
        return folder / "a-{00..01}.tar"
    suffix = {"npy": "npy", "columns": "npy"}.get(kind, "h5" if "h5" in kind else "npz")
    return folder / f"a.{suffix}"


KINDS = (
    "npz",
    "compressed",
    "npy",
    "columns",
    "packed columns",
    "big-endian",
    "h5",
    "packed h5",
    "tar",
)


@pytest.mark.parametrize("kind", KINDS)
def test_codes_of_every_kind_of_file_are_the_same(tmp_path, kind):
    found = open_code_file(write(tmp_path, kind))
    np.save(tmp_path / "plain.npy", GRID)
    # By content alone, whatever the file is called and however it is packed.
    assert found.fingerprint == open_code_file(tmp_path / "plain.npy").fingerprint
    assert found.shape == (3, 2, 2)
    assert np.array_equal(found.rows.read(3, 40), FLAT[3:40])
    some = np.random.default_rng(1).permutation(N)[:20]
    assert np.array_equal(found.rows.take(some), FLAT[some])
    assert np.array_equal(found.rows.take(np.sort(some)), FLAT[np.sort(some)])
    if kind in ("npy", "columns"):
        assert found.ids is None
    else:
        # A key of WebDataset ends at the first dot.
        whole = IDS if kind != "tar" else np.array([name.removesuffix(".png") for name in IDS])
        assert found.ids.tolist() == whole.tolist()


@pytest.mark.parametrize("form", ["lists", "fixed", "columns"])
def test_parquet_tables_are_read(tmp_path, form):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet

    columns = {"ids": IDS.tolist()}
    if form == "lists":
        columns["z"] = pa.array(list(FLAT))
    elif form == "fixed":
        columns["z"] = pa.FixedSizeListArray.from_arrays(FLAT.reshape(-1), 12)
    else:
        columns |= {f"x{number}": FLAT[:, number] for number in range(12)}
    pyarrow.parquet.write_table(pa.table(columns), tmp_path / "a.parquet", row_group_size=20)
    found = open_code_file(tmp_path / "a.parquet")
    assert found.ids.tolist() == IDS.tolist()
    assert np.array_equal(found.rows.read(0, N), FLAT)


def test_parquet_with_rows_of_different_lengths_or_without_a_code_is_refused(tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet

    cases = {
        "different lengths": [[1.0, 2.0], [1.0]],
        "rows without a code": [[1.0, 2.0], None],
        "missing numbers": [[1.0, 2.0], [1.0, None]],
    }
    for message, rows in cases.items():
        table = pa.table({"codes": pa.array(rows, pa.list_(pa.float32()))})
        pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
        with pytest.raises(SpaceError, match=message):
            open_code_file(tmp_path / "a.parquet")
    table = pa.table({"ids": pa.array(["a", None]), "codes": pa.array([[1.0], [2.0]])})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(SpaceError, match="no id for 1 of 2 rows"):
        open_code_file(tmp_path / "a.parquet")


def test_without_pyarrow_the_line_to_install_it_is_said(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(SpaceError, match=r'pip install "latentmap\[parquet\]"'):
        open_code_file(tmp_path / "a.parquet")


def test_an_export_of_ours_keeps_its_space(tmp_path):
    space = Space("z", 12, "vae", "ab" * 32, (3, 2, 2))
    codes = Codes.from_array(IDS, FLAT, space=space, data="dd")
    for name in ("a.npz", "a.h5"):
        export_codes(codes, tmp_path / name, provenance={}, force=False)
        found = open_code_file(tmp_path / name)
        assert (found.space, found.shape, found.data) == (space, (3, 2, 2), "dd")


def test_one_of_several_arrays_is_chosen(tmp_path):
    np.savez(tmp_path / "a.npz", clip=FLAT, dino=GRID, keys=IDS, labels=np.arange(N))
    with pytest.raises(SpaceError, match=r"it holds clip, dino: say which, as FILE\?codes=NAME"):
        open_code_file(tmp_path / "a.npz")
    found = open_code_file(tmp_path / "a.npz", codes="dino", ids="keys")
    assert (found.shape, found.ids.tolist()) == ((3, 2, 2), IDS.tolist())
    assert open_code_file(tmp_path / "a.npz", codes="clip", ids="labels").ids[7] == "7"
    with pytest.raises(SpaceError, match=r"it has no 'x', but clip, dino, keys, labels"):
        open_code_file(tmp_path / "a.npz", codes="x")
    with pytest.raises(SpaceError, match=r"it has no 'x' to take ids from"):
        open_code_file(tmp_path / "a.npz", codes="clip", ids="x")


def test_the_right_array_of_a_sample_is_chosen_in_shards(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for number, end in [(1, "image.npy"), (1, "text.npy"), (2, "image.npy"), (2, "json")]:
            content = io.BytesIO()
            np.save(content, np.full(3, number, np.float32))
            member = tarfile.TarInfo(f"{number}.{end}")
            member.size = len(content.getvalue())
            archive.addfile(member, io.BytesIO(content.getvalue()))
    with pytest.raises(SpaceError, match=r"hold image.npy, text.npy: say which"):
        open_code_file(tmp_path / "a.tar")
    found = open_code_file(tmp_path / "a.tar", codes="image")
    assert (found.ids.tolist(), found.rows.read(0, 2)[:, 0].tolist()) == (["1", "2"], [1, 2])


BAD = {
    "whole numbers": ({"codes": np.ones((N, 3), np.int64)}, r"floats, and these are whole numbers"),
    "complex": ({"codes": np.ones((N, 3), np.complex64)}, r"complex \(complex64\)"),
    "objects": ({"codes": np.array([[None]], object)}, r"Python objects, which are never"),
    "one axis": ({"codes": np.ones(N, np.float32)}, r"shape \(n, d\) or more axes, not 1"),
    "nothing": ({"codes": np.ones((0, 3), np.float32)}, r"no codes: shape \(0, 3\)"),
    "no floats": ({"a": np.ones(3), "b": np.ones(4)}, r"no floats of shape \(n, d\), but a, b"),
    "few ids": ({"codes": FLAT, "ids": IDS[:-1]}, r"50 codes, and ids of shape \(49,\)"),
    "ids of floats": ({"codes": FLAT, "ids": np.ones(N)}, r"ids are one text or whole number"),
    "repeated": (
        {"codes": FLAT, "ids": np.where(IDS == IDS[3], IDS[4], IDS)},
        r"some ids twice \(größe/004.png\): leave one row",
    ),
    "empty": (
        {"codes": FLAT, "ids": np.where(IDS == IDS[3], "", IDS)},
        r"no id for 1 of 50 rows, the first is row 3",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_no_file_of_codes_is_refused(tmp_path, what):
    arrays, message = BAD[what]
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(SpaceError, match=message):
        open_code_file(tmp_path / "a.npz")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_codes_that_are_not_finite_are_refused(tmp_path, bad):
    codes = FLAT.copy()
    codes[17, 5] = bad
    np.savez(tmp_path / "a.npz", codes=codes, ids=IDS)
    with pytest.raises(SpaceError, match=r"that in row 17, of größe/017.png is not"):
        open_code_file(tmp_path / "a.npz")
    np.save(tmp_path / "a.npy", np.full((2, 2), 1e300))
    with pytest.raises(SpaceError, match=r"finite codes, but that in row 0 is not"):
        open_code_file(tmp_path / "a.npy")


@pytest.mark.parametrize("packed", [False, True])
def test_a_damaged_or_cut_off_file_is_refused(tmp_path, packed):
    path = tmp_path / "a.npz"
    (np.savez_compressed if packed else np.savez)(path, codes=FLAT, ids=IDS)
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)
    with pytest.raises(SpaceError, match=r"cannot be read as codes"):
        open_code_file(path)
    path.write_bytes(data[:-200])
    with pytest.raises(SpaceError, match=r"cannot be read as codes"):
        open_code_file(path)
    np.save(tmp_path / "a.npy", FLAT)
    (tmp_path / "a.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:-4])
    with pytest.raises(SpaceError, match=r"cut off|has no 600 values"):
        open_code_file(tmp_path / "a.npy")


def test_rows_of_a_file_that_was_written_to_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", FLAT)
    found = open_code_file(tmp_path / "a.npy")
    np.save(tmp_path / "a.npy", np.zeros((N, 13), np.float32))
    with pytest.raises(ValueError, match="written to since"):
        found.rows.read(0, 2)


def test_a_small_file_that_asks_for_much_room_is_refused(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", codes=np.zeros((N, 100_000), np.float32))
    with raised_limits({"unpacked": 1}), pytest.MonkeyPatch.context() as patch:
        patch.setattr("latentmap.files.spool._SMALL", 1000)
        with pytest.raises(SpaceError, match=r"takes more than \d+ bytes unpacked"):
            open_code_file(tmp_path / "a.npz")


def test_a_table_that_asks_for_much_room_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    pyarrow, parquet = map(pytest.importorskip, ("pyarrow", "pyarrow.parquet"))
    rows = pyarrow.array([np.zeros(100_000, np.float32)] * 64, pyarrow.list_(pyarrow.float32()))
    parquet.write_table(pyarrow.table({"codes": rows}), tmp_path / "a.parquet")
    assert (tmp_path / "a.parquet").stat().st_size < 10_000
    monkeypatch.setattr("latentmap.codes.code_tables._block", None)
    monkeypatch.setattr("latentmap.files.spool._SMALL", 1000)
    with raised_limits({"unpacked": 1}), pytest.raises(SpaceError, match="bytes unpacked"):
        open_code_file(tmp_path / "a.parquet")


def test_one_long_id_does_not_make_all_of_a_table_long(tmp_path):
    pyarrow, parquet = map(pytest.importorskip, ("pyarrow", "pyarrow.parquet"))
    n = 10 * 4096 + 1  # The last one is a block of its own.
    ids = [str(number) for number in range(n - 1)] + ["x" * 20_000]
    codes = pyarrow.FixedSizeListArray.from_arrays(np.zeros(2 * n, np.float32), 2)
    parquet.write_table(pyarrow.table({"id": ids, "codes": codes}), tmp_path / "a.parquet")
    with pytest.raises(SpaceError, match="ids of up to 20000 letters"):
        open_code_file(tmp_path / "a.parquet")


def test_missing_files_and_other_kinds_are_refused(tmp_path):
    with pytest.raises(SpaceError, match=r"there is no file .*a.npz"):
        open_code_file(tmp_path / "a.npz")
    with pytest.raises(SpaceError, match=r"must end in one of .npz, .npy"):
        open_code_file(tmp_path / "a.csv")
    with pytest.raises(SpaceError, match="from a number to one that is not smaller"):
        open_code_file(tmp_path / "a-{3..1}.tar")
    (tmp_path / "a.tar").write_bytes(bytes(10240))
    with pytest.raises(SpaceError, match=r"nothing but zeros|no member"):
        open_code_file(tmp_path / "a.tar")
    assert is_code_file("a-{0..3}.tar") and not is_code_file("pixels:8")


def test_codes_are_had_by_id(tmp_path):
    np.savez(tmp_path / "a.npz", codes=FLAT, ids=IDS)
    found = open_code_file(tmp_path / "a.npz")
    wanted = np.array(["x", IDS[7], IDS[2]])
    digests = np.arange(48, dtype=np.uint8).reshape(3, 16)
    codes = found.codes_of(wanted, digests, space=Space("codes", 12, "a", "aa"), data="d")
    assert codes.ids.tolist() == wanted[1:].tolist()
    assert np.array_equal(codes.vectors.numpy(), FLAT[[7, 2]])
    assert np.array_equal(codes.digests, digests[1:])
    with pytest.raises(PairError, match="no code of any of the 1 images: its ids are such as"):
        found.codes_of(np.array(["x"]), digests[:1], space=codes.space, data="d")


def test_rows_without_ids_get_them_from_elsewhere(tmp_path):
    np.save(tmp_path / "a.npy", FLAT)
    found = open_code_file(tmp_path / "a.npy")
    with pytest.raises(PairError, match="does not say which image each row is of: give --row-ids"):
        found.codes_of(IDS, np.zeros((N, 16), np.uint8), space=Space("z", 12, "a", ""), data="")
    assert found.named(IDS, "ids.txt").ids is IDS
    with pytest.raises(PairError, match=r"has 50 codes, but ids.txt gives 49 ids"):
        found.named(IDS[1:], "ids.txt")


def test_ids_are_read_from_every_kind_of_file(tmp_path):
    (tmp_path / "a.txt").write_text("\n".join(IDS) + "\n", encoding="utf-8")
    lines = ["n,ids", *(f"{number},{name}" for number, name in enumerate(IDS))]
    (tmp_path / "a.csv").write_text("\r\n".join(lines), encoding="utf-8-sig")
    (tmp_path / "b.csv").write_text("file\n" + "\n".join(IDS), encoding="utf-8")
    np.save(tmp_path / "a.npy", IDS)
    np.savez(tmp_path / "a.npz", ids=IDS)
    for name in ("a.txt", "a.csv", "b.csv", "a.npy", "a.npz"):
        assert read_ids(tmp_path / name).tolist() == IDS.tolist(), name
    np.save(tmp_path / "n.npy", np.arange(3))
    assert read_ids(tmp_path / "n.npy").tolist() == ["0", "1", "2"]


def test_a_file_that_holds_no_ids_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    with pytest.raises(SpaceError, match="none of its columns is called ids: it has a, b"):
        read_ids(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_text("ids,b\n1\n")
    with pytest.raises(SpaceError, match="row 0 has 1 values, not 2"):
        read_ids(tmp_path / "a.csv")
    np.save(tmp_path / "a.npy", np.array([None]), allow_pickle=True)
    with pytest.raises(SpaceError, match="Python objects, which are never unpacked"):
        read_ids(tmp_path / "a.npy")
    with pytest.raises(SpaceError, match="there is no file"):
        read_ids(tmp_path / "b.txt")
    (tmp_path / "a.json").write_text(json.dumps(IDS.tolist()))
    with pytest.raises(SpaceError, match=r"its suffix is .json"):
        read_ids(tmp_path / "a.json")
