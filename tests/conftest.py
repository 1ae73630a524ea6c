"""What many tests need."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

# Before torch is imported, and for processes that tests start: a thread a worker, since the tests
# share the processors with each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The cache of a test is in its own folder, never in the user's home.
os.environ["LATENTMAP_CACHE"] = "latentmap-cache"

# A job in the background ignores Ctrl-C, and so would the processes that tests start to interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def no_wait_for_the_disk() -> Iterator[None]:
    """No power fails here, and tests of the cache have a disk of their own for that."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real images beside the checkout; without it the test is skipped."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs the real images in ../shared/data")
    return folder
