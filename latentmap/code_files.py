"""Code files: codes that came out of a cache as one file, read again."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from latentmap.codes import Codes, Space
from latentmap.errors import SpaceError
from latentmap.frames import Frame


def read_codes(path: Path, *, space: Space, frame: Frame | None = None) -> Codes:
    """The codes in a ``.npz`` or ``.h5`` file that holds ``ids`` and ``codes``, in memory.

    The file is taken to be in ``space``; an HDF5 file that says what made it must agree. The
    images are known by their ids alone.

    Raises:
        SpaceError: the file is missing, is no such file, or its codes are in another space.
    """
    try:
        if path.suffix == ".npz":
            ids, vectors = _read_npz(path)
        elif path.suffix == ".h5":
            ids, vectors = _read_hdf5(path, space)
        else:
            raise SpaceError(f"{path} must end in .npz or .h5: give a file of `cache export`")
    except SpaceError:
        raise
    except FileNotFoundError:
        raise SpaceError(
            f"there is no file {path}: write one with `latentmap cache export`"
        ) from None
    except (OSError, EOFError, LookupError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise SpaceError(
            f"{path} cannot be read as ids and codes ({error}): "
            "give a file of `latentmap cache export`"
        ) from None
    if vectors.shape != (len(ids), space.dim):
        raise SpaceError(
            f"{path} must hold {len(ids)} codes of {space.dim} variables for {space}, "
            f"not an array of shape {vectors.shape}"
        )
    return Codes.from_array(ids, vectors, space=space, frame=frame)


def _read_npz(path: Path) -> tuple[np.ndarray, np.ndarray]:
    # Opened here: numpy leaves a file open that it cannot make sense of.
    with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
        return file["ids"].astype(np.str_), file["codes"].astype(np.float32)


def _read_hdf5(path: Path, space: Space) -> tuple[np.ndarray, np.ndarray]:
    if not path.exists():
        raise FileNotFoundError(path)
    file: Any = h5py.File(path, "r")
    with file:
        made_by = json.loads(file.attrs.get("provenance", "{}"))
        if "space" in made_by:
            space.require(Space(**made_by["space"]), f"the codes in {path}")
        ids = np.array([name.decode("utf-8") for name in file["ids"][...]], dtype=np.str_)
        return ids, file["codes"][...].astype(np.float32)
