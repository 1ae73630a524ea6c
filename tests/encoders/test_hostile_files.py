"""Hostile and broken files: nothing is imported or called, memory is bounded, one line says why."""

import argparse
import json
import pickle
import pickletools
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from latentmap.encoders.checkpoints.foreign import open_foreign
from latentmap.errors import CheckpointError
from tests.encoders.hostile_corpus import BOMBS, INERT, REFUSED, saved
from tests.encoders.read_hostile import read

ROOT = Path(__file__).resolve().parents[2]
MEGABYTE = 2**20


def opened(folder: Path, data: bytes):
    path = folder / "file"
    path.write_bytes(data)
    return open_foreign(path)


@pytest.mark.parametrize("data", INERT.values(), ids=INERT)
def test_calls_stay_inert(tmp_path, monkeypatch, data):
    monkeypatch.chdir(tmp_path)
    assert opened(tmp_path, data).unknown
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(("data", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_no_checkpoint_holds_is_refused(tmp_path, monkeypatch, data, reason):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match=reason) as caught:
        opened(tmp_path, data)
    assert len(str(caught.value).splitlines()) == 1
    assert not (tmp_path / "executed").exists()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """What a process of its own saw while it read everything that means harm."""
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("the peak of a process is measured with Linux's /proc")
    program = Path(__file__).with_name("read_hostile.py")
    done = subprocess.run(
        [sys.executable, program, tmp_path_factory.mktemp("hostile")],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "OMP_NUM_THREADS": "1"},
    )
    return json.loads(done.stdout)


def test_nothing_is_imported_compiled_or_started(report):
    assert report["events"] == []
    assert len(report["read"]) == len(INERT) + len(REFUSED)


def test_the_watch_sees_what_it_should(tmp_path):
    """The test above can fail: the same process sees what Python's own reader does."""
    program = (
        "import pickle, sys; from tests.encoders.read_hostile import Watch; watch = Watch();"
        "watch.watching = True; pickle.loads(bytes.fromhex(sys.argv[1])); print(watch.events)"
    )
    harmless = INERT["os.system"].replace(b"touch executed", b"true          ")
    done = subprocess.run(
        [sys.executable, "-c", program, harmless.hex()],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": "/bin:/usr/bin"},
    )
    assert "os.system" in done.stdout
    assert "pickle.find_class" in done.stdout


@pytest.mark.parametrize("bomb", BOMBS)
def test_memory_stays_below_twice_the_file_and_200_mb(report, bomb):
    figures = report["bombs"][bomb]
    assert figures["memory"] < 2 * figures["file"] + 200 * MEGABYTE
    assert figures["message"] is None or len(figures["message"].splitlines()) == 1


SAMPLES = {
    "pickle 2": pickle.dumps({"G": [torch.ones(3), np.float64(2)], "s": {1}}, 2),
    "pickle 4": pickle.dumps({"G": [torch.ones(3), np.arange(4.0)], "s": {1}}, 4),
    "torch": saved({"weight": torch.ones(2, 3), "args": argparse.Namespace(size=4)}),
    "torch zip": saved({"weight": torch.ones(2, 3), "n": [1, "a"]}, zipped=True),
}


@pytest.mark.parametrize("data", SAMPLES.values(), ids=SAMPLES)
def test_a_file_cut_off_anywhere_is_refused(tmp_path, data):
    path = tmp_path / "file"
    for length in range(len(data)):
        path.write_bytes(data[:length])
        # An archive without its end is cut off; a stream without its last byte has no stop.
        assert read(path), length


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_a_stream_cut_off_at_every_opcode_is_refused(tmp_path, protocol):
    data = pickle.dumps({"a": [1, 2.5, "x", (1,), {3}], "t": torch.ones(2)}, protocol)
    places = [place for _, _, place in pickletools.genops(data)]
    assert len(places) > 30
    for place in places:
        with pytest.raises(CheckpointError):
            opened(tmp_path, data[:place])


@pytest.mark.parametrize("data", SAMPLES.values(), ids=SAMPLES)
def test_changed_bytes_give_a_result_or_one_line(tmp_path, data):
    chance = random.Random(0)
    path = tmp_path / "file"
    refused = 0
    for _ in range(500):
        changed = bytearray(data)
        for _ in range(chance.randint(1, 4)):
            place = chance.randrange(len(changed))
            if chance.random() < 0.5:
                changed[place] = chance.randrange(256)
            else:
                changed[place:place] = changed[chance.randrange(len(changed)) :][
                    : chance.randint(1, 9)
                ]
        path.write_bytes(changed)
        message = read(path)
        refused += message is not None
        assert message is None or len(message.splitlines()) == 1
    assert refused > 100
