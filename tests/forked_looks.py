"""Processes that look into HDF5 files, as forks, for tests of what is read and not of how it is
read.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest

from latentmap.files import hdf5_process
from tests.fuzz.forking import forks


@cache
def _fork() -> Callable[..., Any]:
    return forks(hdf5_process._search_path())


@pytest.fixture(scope="module", autouse=True)
def forked_looks() -> Iterator[None]:
    """Starts as always where there is no Linux; tests/core/files starts them so everywhere."""
    with pytest.MonkeyPatch.context() as patch:
        if sys.platform == "linux":
            here = SimpleNamespace(**{**vars(subprocess), "Popen": _fork()})
            patch.setattr(hdf5_process, "subprocess", here)
        yield
