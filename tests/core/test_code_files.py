import h5py
import numpy as np
import pytest

from latentmap.code_files import read_codes
from latentmap.codes import Codes, Space
from latentmap.errors import SpaceError
from latentmap.export import export_codes

SPACE = Space("z", 3, "a", "aa")
VECTORS = np.arange(12, dtype=np.float32).reshape(4, 3)
IDS = ["1.png", "2.png", "3.png", "größer.png"]


def export(path, *, space=SPACE):
    codes = Codes.from_array(IDS, VECTORS, space=space)
    provenance = {"space": {"kind": "z", "dim": 3, "model": "a", "fingerprint": space.fingerprint}}
    export_codes(codes, path, provenance=provenance, force=False)


@pytest.mark.parametrize("name", ["codes.npz", "codes.h5"])
def test_exported_codes_are_read_again(tmp_path, name):
    export(tmp_path / name)
    codes = read_codes(tmp_path / name, space=SPACE)
    assert codes.ids.tolist() == IDS
    assert codes.space is SPACE
    assert (codes.vectors.numpy() == VECTORS).all()


def test_a_file_that_says_that_it_is_in_another_space_is_refused(tmp_path):
    export(tmp_path / "codes.h5", space=Space("z", 3, "a", "bb"))
    with pytest.raises(SpaceError, match=r"the codes in .*codes\.h5 must be in z of a \(3-d, aa\)"):
        read_codes(tmp_path / "codes.h5", space=SPACE)


@pytest.mark.parametrize("name", ["codes.npz", "codes.h5"])
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


def test_a_file_without_ids_or_of_another_kind_is_refused(tmp_path):
    np.savez(tmp_path / "c.npz", codes=VECTORS)
    with pytest.raises(SpaceError, match="cannot be read as ids and codes"):
        read_codes(tmp_path / "c.npz", space=SPACE)
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file.create_dataset("codes", data=VECTORS)
    with pytest.raises(SpaceError, match="cannot be read as ids and codes"):
        read_codes(tmp_path / "c.h5", space=SPACE)
    with pytest.raises(SpaceError, match=r"must end in \.npz or \.h5"):
        read_codes(tmp_path / "c.csv", space=SPACE)
