import json
import subprocess
import sys

import h5py
import numpy as np
import pyarrow.parquet
import pytest

from latentmap.codes import Codes, Space, export_codes, read_codes
from latentmap.errors import SpaceError
from latentmap.frames import Frame

SPACE = Space("z", 3, "a", "aa")
FILES = ["codes.npz", "codes.h5", "codes.parquet"]
VECTORS = np.arange(12, dtype=np.float32).reshape(4, 3)
IDS = ["1.png", "2.png", "3.png", "größer.png"]


def export(path, *, space=SPACE, ids=IDS, vectors=VECTORS, **known):
    codes = Codes.from_array(ids, vectors, space=space, **known)
    export_codes(codes, path, provenance={"map": "a to b", "data": "of another"}, force=False)


@pytest.mark.parametrize("name", FILES)
def test_exported_codes_are_read_again(tmp_path, name):
    export(tmp_path / name)
    codes = read_codes(tmp_path / name, space=SPACE)
    assert codes.ids.tolist() == IDS
    assert codes.space is SPACE
    assert (codes.vectors.numpy() == VECTORS).all()


@pytest.mark.parametrize("name", FILES)
def test_codes_keep_their_own_space_frame_and_data(tmp_path, name):
    frame = Frame("celeba", "pillow-box")
    export(tmp_path / name, frame=frame, data="dd")
    codes = read_codes(tmp_path / name, space=SPACE, frame=Frame("center"))
    assert (codes.frame, codes.data) == (frame, "dd")
    if name == "codes.npz":
        with np.load(tmp_path / name) as file:
            assert sorted(file) == ["codes", "ids", "provenance"]
            record = json.loads(str(file["provenance"]))
    elif name == "codes.h5":
        with h5py.File(tmp_path / name) as file:
            record = json.loads(file.attrs["provenance"])
    else:
        metadata = pyarrow.parquet.read_metadata(tmp_path / name).metadata
        record = json.loads(metadata[b"latentmap"])
    assert record == {
        "map": "a to b",
        "space": {"kind": "z", "dim": 3, "model": "a", "fingerprint": "aa"},
        "frame": frame.to_json(),
        "data": "dd",
    }


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_says_that_it_is_in_another_space_is_refused(tmp_path, name):
    export(tmp_path / name, space=Space("z", 3, "a", "bb"))
    with pytest.raises(SpaceError, match=rf"the codes in .*{name} must be in z of a \(3-d, aa\)"):
        read_codes(tmp_path / name, space=SPACE)


def test_codes_of_another_program_are_taken_to_be_in_the_space(tmp_path):
    np.savez(tmp_path / "c.npz", ids=IDS, codes=VECTORS.astype(np.float64))
    codes = read_codes(tmp_path / "c.npz", space=SPACE, frame=Frame("center"))
    assert (codes.space, codes.frame, codes.data) == (SPACE, Frame("center"), "")
    assert (codes.vectors.numpy() == VECTORS).all()


@pytest.mark.parametrize("provenance", ["[", "3", '{"space": {"kind": "z"}}', '{"frame": "full"}'])
def test_a_provenance_that_makes_no_sense_is_refused(tmp_path, provenance):
    np.savez(tmp_path / "c.npz", ids=IDS, codes=VECTORS, provenance=provenance)
    with pytest.raises(SpaceError, match="cannot be read as ids and codes"):
        read_codes(tmp_path / "c.npz", space=SPACE)


@pytest.mark.parametrize("name", ["codes.npz", "codes.h5"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_codes_that_are_not_finite_are_refused(tmp_path, name, value):
    vectors = VECTORS.copy()
    vectors[1:3, 2] = value
    export(tmp_path / name, vectors=vectors)
    with pytest.raises(SpaceError, match=r"finite codes, but 2 of 4 are not, the first of 2\.png"):
        read_codes(tmp_path / name, space=SPACE)


def test_codes_too_large_for_float32_are_refused(tmp_path):
    np.savez(tmp_path / "c.npz", ids=IDS, codes=VECTORS.astype(np.float64) * 1e300)
    with pytest.raises(SpaceError, match=r"finite codes, but 4 of 4 are not, the first of 1\.png"):
        read_codes(tmp_path / "c.npz", space=SPACE)


@pytest.mark.parametrize("kind", ["<c8", "<M8[s]", "|b1", "<U3"])
def test_codes_that_are_no_real_numbers_are_refused(tmp_path, kind):
    np.savez(tmp_path / "c.npz", ids=IDS, codes=VECTORS.astype(np.int64).astype(kind))
    with pytest.raises(SpaceError, match=r"codes are real numbers, not (comp|date|bool|<U3)"):
        read_codes(tmp_path / "c.npz", space=SPACE)


@pytest.mark.parametrize("name", ["codes.npz", "codes.h5"])
def test_ids_that_stand_twice_are_refused(tmp_path, name):
    export(tmp_path / name, ids=["1.png", "2.png", "3.png", "2.png"])
    with pytest.raises(SpaceError, match=r"every id once, but 2\.png stands there 2 times"):
        read_codes(tmp_path / name, space=SPACE)


FULL_DISK = """
import resource, sys
from pathlib import Path
import numpy as np
from latentmap.codes.codes import Codes, Space
from latentmap.errors import OutputError
from latentmap.codes.export import export_codes
ids = [f"{number}.png" for number in range(20000)]
codes = Codes.from_array(ids, np.ones((20000, 3), np.float32), space=Space("z", 3, "a", "aa"))
for limit in (330000, 200000, 5000, 100):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        export_codes(codes, Path(sys.argv[1]), provenance={}, force=True)
    except OutputError as error:
        print(error)
"""


@pytest.mark.parametrize("name", FILES)
def test_a_full_disk_leaves_what_was_there(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"earlier")
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{name} could not be written: File too large; nothing was changed" in done.stdout
    assert len(done.stdout.splitlines()) == 4
    assert path.read_bytes() == b"earlier"
    assert [file.name for file in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", FILES)
def test_codes_of_another_size_are_refused(tmp_path, name):
    export(tmp_path / name)
    wider = Space("z", 5, "a", "aa")
    with pytest.raises(SpaceError, match=r"codes of 5 variables|must be in z of a \(5-d"):
        read_codes(tmp_path / name, space=wider)


@pytest.mark.parametrize("name", ["codes.npz", "codes.h5"])
def test_a_file_that_is_missing_cut_off_or_foreign_is_refused(tmp_path, name):
    path = tmp_path / name
    with pytest.raises(SpaceError, match="there is no file"):
        read_codes(path, space=SPACE)
    export(path)
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"something else entirely"):
        path.write_bytes(content)
        with pytest.raises(SpaceError, match="cannot be read as ids and codes"):
            read_codes(path, space=SPACE)


def test_a_download_that_went_wrong_is_named(tmp_path):
    path = tmp_path / "c.npz"
    path.write_bytes(b"<html><title>Sign in</title>")
    with pytest.raises(SpaceError, match=r"\(it is a web page \('Sign in'\), not the"):
        read_codes(path, space=SPACE)


def test_a_file_without_ids_or_of_another_kind_is_refused(tmp_path):
    np.savez(tmp_path / "c.npz", ids="1.png", codes=VECTORS)
    with pytest.raises(SpaceError, match=r"cannot be read as ids and codes \(ids of shape"):
        read_codes(tmp_path / "c.npz", space=SPACE)
    np.savez(tmp_path / "c.npz", codes=VECTORS)
    with pytest.raises(SpaceError, match="cannot be read as ids and codes"):
        read_codes(tmp_path / "c.npz", space=SPACE)
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file.create_dataset("codes", data=VECTORS)
    with pytest.raises(SpaceError, match="cannot be read as ids and codes"):
        read_codes(tmp_path / "c.h5", space=SPACE)
    with pytest.raises(SpaceError, match=r"must end in one of \.npz, \.npy, \.h5"):
        read_codes(tmp_path / "c.csv", space=SPACE)


@pytest.mark.parametrize(
    "options", [{}, {"chunks": (2, 3), "compression": "gzip"}], ids=["plain", "gzip"]
)
def test_hdf5_codes_of_another_program_are_read(tmp_path, options):
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file["ids"] = IDS
        file.create_dataset("codes", data=VECTORS.astype(">f8"), **options)
    codes = read_codes(tmp_path / "c.h5", space=SPACE)
    assert (codes.ids.tolist(), codes.vectors.numpy().tolist()) == (IDS, VECTORS.tolist())


def test_ids_that_are_no_text_come_back_as_they_were(tmp_path):
    names = [*IDS[:3], "\udcff.png"]
    export(tmp_path / "c.h5", ids=names)
    assert read_codes(tmp_path / "c.h5", space=SPACE).ids.tolist() == names


def test_ids_that_no_encoding_has_are_refused(tmp_path):
    np.savez(tmp_path / "c.npz", ids=np.array([*IDS[:3], "\ud800"]), codes=VECTORS)
    with pytest.raises(SpaceError, match="surrogates not allowed"):
        read_codes(tmp_path / "c.npz", space=SPACE)


def test_rows_of_nothing_are_refused(tmp_path):
    np.savez(tmp_path / "c.npz", ids=IDS, codes=np.zeros((10**9, 0), np.float32))
    with pytest.raises(SpaceError, match="has 1000000000 rows in 0 bytes"):
        read_codes(tmp_path / "c.npz", space=SPACE)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("codes", h5py.ExternalLink("b.h5", "codes"), "codes is an external link"),
        ("codes", np.array([b"x"]), "cannot be read as ids and codes"),
        ("codes", 3.0, "must hold 4 codes of 3 variables"),
        ("ids", np.arange(4), "ids must be texts, not int64"),
        ("ids", np.zeros((2, 2), "S3"), "ids must be texts"),
    ],
)
def test_hdf5_that_holds_something_else_is_refused(tmp_path, name, value, message):
    export(tmp_path / "c.h5")
    with h5py.File(tmp_path / "c.h5", "a") as file:
        del file[name]
        file[name] = value
    with pytest.raises(SpaceError, match=message):
        read_codes(tmp_path / "c.h5", space=SPACE)


@pytest.mark.parametrize(
    "provenance", [[1, 2], "[" * 100_000, '{"space": {"kind": 1}}', '{"space": []}', '{"frame": 3}']
)
def test_a_provenance_of_another_kind_is_refused(tmp_path, provenance):
    export(tmp_path / "c.h5")
    with h5py.File(tmp_path / "c.h5", "a") as file:
        file.attrs["provenance"] = provenance
    with pytest.raises(SpaceError, match="cannot be read as ids and codes"):
        read_codes(tmp_path / "c.h5", space=SPACE)
