"""HDF5 files are looked into by a process of its own, which opens nothing else and has an end."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import h5py
import numpy as np
import pytest

from latentmap.files.hdf5_files import look_into_hdf5
from latentmap.files.hdf5_process import ReadingProcess
from latentmap.limits import raised_limits

VALUES = np.arange(120, dtype=np.uint16).reshape(20, 3, 2)
PLAIN = {
    "big-endian": VALUES.astype(">f4"),
    "bytes": VALUES.astype(np.uint8),
    "g/deep/doubles": VALUES / 7,
    "names": np.array([b"a", b"bcd"]),
    "truths": np.array([True, False]),
}
PACKED = {
    "gzip": {"chunks": (4, 3, 2), "compression": "gzip", "shuffle": True, "fletcher32": True},
    "lzf": {"chunks": (7, 3, 1), "compression": "lzf"},
    "chunks": {"chunks": (4, 3, 2)},
}


@pytest.fixture(params=["earliest", "latest"])
def ordinary(request, tmp_path):
    """A file as others write them, with space for somebody before it."""
    path = tmp_path / "ordinary.h5"
    with h5py.File(path, "w", libver=request.param, userblock_size=512) as file:
        for name, values in PLAIN.items():
            file[name] = values
        for name, options in PACKED.items():
            file.create_dataset(name, data=VALUES, **options)
        storage = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        storage.set_layout(h5py.h5d.COMPACT)
        kind, space = h5py.h5t.NATIVE_UINT16, h5py.h5s.create_simple(VALUES.shape)
        h5py.h5d.create(file.id, b"compact", kind, space, storage).write(
            h5py.h5s.ALL, h5py.h5s.ALL, VALUES
        )
        file.attrs["format"], file.attrs["version"], file.attrs["many"] = "a format", 7, [1, 2]
        file["g"].attrs["of a group"] = np.bytes_("bytes")
        file["text"], file["texts"] = "größer", ["größer", "a"]
        file["link"] = h5py.SoftLink("/g/deep/doubles")
        file["g/away"] = h5py.ExternalLink("other.h5", "/x")
    return path


def test_what_others_write_is_read_as_h5py_reads_it(ordinary):
    found = look_into_hdf5(
        ordinary,
        attributes=["format", "version", "many", "g/of a group", "missing", "text/none"],
        texts=["text", "texts", "bytes", "missing"],
    )
    assert found.attributes == {
        "format": "a format",
        "version": 7,
        "many": None,
        "g/of a group": "bytes",
    }
    assert found.texts == {"text": "größer", "texts": ["größer", "a"]}
    assert set(found.datasets) == {*PLAIN, *PACKED, "compact"}
    assert set(found.groups) == {"g", "g/deep"}
    assert (found.refused["link"], found.refused["g/away"]) == ("a soft link", "an external link")
    assert found.complete
    for name, values in PLAIN.items():
        np.testing.assert_array_equal(found.map(name), values)
        assert found.read(name).dtype == values.dtype
    for name in ("gzip", "compact"):
        np.testing.assert_array_equal(found.read(name), VALUES)


@pytest.mark.parametrize("name", PACKED)
def test_rows_of_compressed_datasets_are_served_in_any_pieces(tmp_path, name, monkeypatch):
    monkeypatch.setattr("latentmap.files.hdf5_rows._BLOCK", 60)  # Five rows.
    monkeypatch.setattr("latentmap.files.hdf5_rows._RUNS", 2)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=VALUES, **PACKED[name])
    found = look_into_hdf5(tmp_path / "a.h5")
    rows = found.served("x")
    assert (rows.shape, rows.dtype) == (VALUES.shape, VALUES.dtype)
    for index in (slice(3, 17), slice(5, 5), [0, 1, 2, 7, 9, 11, 12, 19], [4]):
        index = index if isinstance(index, slice) else np.array(index)
        np.testing.assert_array_equal(rows[index], VALUES[index])
    with ThreadPoolExecutor(8) as threads:
        for at, part in enumerate(
            threads.map(rows.__getitem__, [slice(n, n + 6) for n in range(8)])
        ):
            np.testing.assert_array_equal(part, VALUES[at : at + 6])
    process = rows._process._process
    del rows
    assert process.poll() is not None


def test_a_fork_asks_a_process_of_its_own(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=VALUES, chunks=(4, 3, 2))
    found = look_into_hdf5(tmp_path / "a.h5")
    rows = found.served("x")
    rows[:1]
    first = rows._process
    rows._owner = -1
    np.testing.assert_array_equal(rows[:2], VALUES[:2])
    assert rows._process is not first


def _soft(target):
    return lambda file: file.__setitem__("x", h5py.SoftLink(target))


def _circle(file):
    file["x"], file["y"] = h5py.SoftLink("/y"), h5py.SoftLink("x")


def _away(file):
    file["g"] = h5py.ExternalLink("other.h5", "/")
    file["x"] = h5py.SoftLink("/g/secret")


def _virtual(source):
    def change(file):
        layout = h5py.VirtualLayout((4,), "u1")
        layout[:] = h5py.VirtualSource(source, "x", (4,))
        file.create_virtual_dataset("x", layout)

    return change


def _raw(file):
    file.create_dataset("x", (4,), "u1", external=[("secret", 0, 4)])


def _type(dtype):
    return lambda file: file.create_dataset("x", (3,), dtype)


def _odd(file):
    kind = h5py.h5t.STD_I32LE.copy()
    kind.set_precision(20)
    h5py.h5d.create(file.id, b"x", kind, h5py.h5s.create_simple((3,)))


REFUSED = {
    "soft link to nothing": (_soft("/no"), "x is missing"),
    "circle": (_circle, "x is a link out of the file, or in a circle"),
    "external": (
        lambda file: file.__setitem__("x", h5py.ExternalLink("other.h5", "secret")),
        "x is a link out of the file",
    ),
    "soft link through an external one": (_away, "x is a link out of the file"),
    "virtual": (_virtual("other.h5"), "x is a dataset whose values other files hold"),
    "virtual of itself": (_virtual("."), "x is a dataset whose values other files hold"),
    "raw": (_raw, "x is a dataset whose values other files hold"),
    "references": (_type(h5py.ref_dtype), "x is of a type that is neither plain numbers"),
    "texts of any length": (_type(h5py.string_dtype()), "x is of a type"),
    "compound": (_type([("a", "u1")]), "x is of a type"),
    "twenty bits": (_odd, "x is of a type"),
    "null": (lambda file: file.create_dataset("x", shape=None, dtype="u1"), "x is empty"),
    "group": (lambda file: file.create_group("x"), "x is no dataset"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_not_plainly_in_the_file_is_refused(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret").write_bytes(b"abcd")
    with h5py.File("other.h5", "w") as file:
        file["secret"] = file["x"] = np.arange(4, dtype=np.uint8)
    change, message = REFUSED[kind]
    with h5py.File("a.h5", "w") as file:
        change(file)
        file["good"] = VALUES
    with pytest.raises(ValueError, match=f"^{message}"):
        look_into_hdf5("a.h5", name="x")
    if kind == "virtual":
        found = look_into_hdf5("a.h5")
        np.testing.assert_array_equal(found.read("good"), VALUES)
        with pytest.raises(ValueError, match=f"^{message}"):
            found.read("x")


def test_soft_links_and_second_names_within_the_file_lead_to_the_dataset(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["g/x"] = VALUES
        file["g/second"] = file["g/x"]
        file["g/up"] = file["/"]
        file["link"] = h5py.SoftLink("g/up/other")
        file["other"] = h5py.SoftLink("/g/./second")
    found = look_into_hdf5(tmp_path / "a.h5", name="link")
    np.testing.assert_array_equal(found.read("link"), VALUES)
    everything = look_into_hdf5(tmp_path / "a.h5")
    assert list(everything.datasets) == ["g/second", "g/x"]
    assert not everything.complete, "a circle of groups has more ways"


def test_a_walk_ends(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = VALUES
        file.create_group("/".join("a" * 40))["deep"] = VALUES
        file["y" * 600] = VALUES
    found = look_into_hdf5(tmp_path / "a.h5")
    assert list(found.datasets) == ["x"] and not found.complete
    assert look_into_hdf5(tmp_path / "a.h5", name="y" * 600).stored("y" * 600).shape == VALUES.shape


def test_more_memory_than_a_small_file_may_take_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("piece", (4, 1 << 28), "u1", chunks=(1, 1 << 28), compression="gzip")
        file.create_dataset("many", (1 << 40,), "u1", chunks=(1024,), compression="gzip")
        file.create_dataset("never", (1 << 40,), "u1")
        file.create_dataset("texts", (1 << 27,), h5py.string_dtype(), chunks=(1024,))
    found = look_into_hdf5(tmp_path / "a.h5")
    assert "in pieces of 268435456 bytes; if that is right, raise" in found.refused["piece"]
    for name in ("many", "never"):
        assert found.refused[name].startswith(f"said to have {1 << 40} bytes, of which the file")
    with pytest.raises(ValueError, match="it needs more memory than it may take; if that is right"):
        look_into_hdf5(tmp_path / "a.h5", texts=["texts"])


def test_long_names_take_no_more_memory_than_the_file_may(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["ids"] = np.array([b"a", b"b" * 1000])
        file["many"] = np.array([b"a"] * 9 + [b"b" * 1000])
    found = look_into_hdf5(tmp_path / "a.h5")
    with raised_limits({"memory": 100}):
        assert found.read_texts("ids").tolist() == [b"a", b"b" * 1000]
        with pytest.raises(ValueError, match="40000 bytes of memory for the texts of many"):
            found.read_texts("many")


def test_a_file_that_is_none_or_cut_off_or_no_file_is_refused(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["x"] = VALUES
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="it is no HDF5 file, or is cut off"):
        look_into_hdf5(path)
    os.mkfifo(tmp_path / "fifo")
    for name in ("fifo", "/dev/zero"):
        with pytest.raises(OSError, match="not a regular file: save it as one first"):
            look_into_hdf5(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        look_into_hdf5(tmp_path / "missing.h5")


def test_a_file_is_looked_into_once_and_again_when_it_was_written_to(tmp_path, monkeypatch):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["x"] = VALUES
    first = look_into_hdf5(path)
    assert look_into_hdf5(path) is first
    with h5py.File(path, "a") as file:
        file["y"] = VALUES
    assert set(look_into_hdf5(path).datasets) == {"x", "y"}
    for read in (first.read, first.map):
        with pytest.raises(ValueError, match="it was written to since it was opened"):
            read("x")


@pytest.fixture
def process(tmp_path):
    """A process that has opened a file."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = VALUES
    with (tmp_path / "a.h5").open("rb") as file:
        yield ReadingProcess(file, 0, (tmp_path / "a.h5").stat().st_size)


LOOK: dict[str, Any] = {"name": None, "attributes": [], "texts": []}


def test_what_never_ends_is_ended(process):
    process.ask(LOOK)
    os.kill(process._process.pid, signal.SIGSTOP)
    process._seconds = 0.05
    with pytest.raises(
        ValueError, match=r"reading it took longer than .* seconds; if that is right"
    ):
        process.ask(LOOK)
    assert process._process.returncode == -signal.SIGKILL


def test_a_crash_is_one_line(process):
    os.kill(process._process.pid, signal.SIGSEGV)
    with pytest.raises(
        ValueError, match=r"the HDF5 library fails on it \(SIGSEGV\): it is damaged"
    ):
        process.ask(LOOK)


def test_what_fails_once_is_not_waited_for_again(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=VALUES, chunks=(4, 3, 2))
    found = look_into_hdf5(tmp_path / "a.h5")
    rows = found.served("x")
    rows[:1]
    ended = rows._process
    os.kill(ended._process.pid, signal.SIGSEGV)
    for _ in range(2):
        with pytest.raises(ValueError, match="fails on it"):
            rows[:1]
    assert rows._process is ended


def test_the_file_meets_no_library_in_this_process_and_no_code_of_the_folder(tmp_path, monkeypatch):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = VALUES
        file.create_dataset("y", data=VALUES, chunks=(4, 3, 2))
    for name in ("h5py", "numpy", "json", "hdf5_child"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('run')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(h5py.h5f, "open", lambda *_: pytest.fail("it was opened here"))
    found = look_into_hdf5("a.h5")
    np.testing.assert_array_equal(found.read("x"), VALUES)
    np.testing.assert_array_equal(found.read("y"), VALUES)


@pytest.mark.parametrize(
    "change",
    [
        {"datasets": {"x": {"dtype": "O", "shape": [1], "offset": 0, "stored": 0, "chunk": 0}}},
        {"datasets": {"x": {"dtype": "|u1", "shape": [-1], "offset": 0, "stored": 0, "chunk": 0}}},
        {
            "datasets": {
                "x": {"dtype": "|u1", "shape": [9999], "offset": 9, "stored": 0, "chunk": 0}
            }
        },
        {"datasets": {"x": {"dtype": "|u1", "shape": [1], "offset": -9, "stored": 0, "chunk": 0}}},
        {"datasets": {"x": 3}},
        {"attributes": {"format": [1]}},
        {"texts": {"record": {"a": 1}}},
        {"texts": {"record": [3]}},
        {"groups": 3},
    ],
)
def test_an_answer_is_not_believed(tmp_path, monkeypatch, change):
    sound = {"datasets": {}, "refused": {}, "groups": [], "attributes": {}, "texts": {}}
    answer = {**sound, "complete": True, **change}
    monkeypatch.setattr(ReadingProcess, "ask", lambda *_: (answer, bytearray()))
    (tmp_path / "a.h5").write_bytes(bytes(100))
    with pytest.raises(
        ValueError, match=r"gave no answer|x is (of a type that is too long|cut off)"
    ):
        look_into_hdf5(tmp_path / "a.h5").stored("x")
