import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latentmap.errors import ImageError
from latentmap.files import spool
from latentmap.frames import Frame
from latentmap.images import View, open_images, tars


def png(value):
    buffer = io.BytesIO()
    Image.new("L", (6, 4), value).save(buffer, "PNG")
    return buffer.getvalue()


FILES = {
    "./faces/10.png": png(100),
    "./faces/2.PNG": png(200),
    "./faces/._2.png": b"",
    "./readme.txt": b"hello",
}


def write_tar(path, files, *others, mode=None, **options):
    mode = mode or {"gz": "w:gz", "tgz": "w:gz", "bz2": "w:bz2", "xz": "w:xz"}.get(
        path.name.rpartition(".")[2], "w"
    )
    with tarfile.open(path, mode, **options) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        for member in others:
            archive.addfile(member)
    return path


def member(name, kind, target=""):
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, target
    return made


@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "tgz", "tar.bz2", "tar.xz", "TAR"])
def test_a_tar_gives_what_its_folder_gives(tmp_path, suffix):
    path = write_tar(tmp_path / f"faces.{suffix}", FILES)
    for name, data in FILES.items():
        (tmp_path / "plain" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "plain" / name).write_bytes(data)
    source, folder = open_images(path), open_images(tmp_path / "plain")
    assert source.ids.tolist() == ["faces/2.PNG", "faces/10.png"]
    assert source.fingerprint == folder.fingerprint
    assert source.passed_over == ["readme.txt"]
    (batch,) = source.batches([View(Frame(), (4, 6), 1)], batch_size=2, threads=2)
    assert batch.images[0][:, 0, 0, 0].tolist() == [200, 100]


@pytest.mark.parametrize(("suffix", "mode"), [("tar", "w:gz"), ("tar.gz", "w"), ("tgz", "w:xz")])
def test_how_a_tar_is_compressed_is_told_by_its_bytes(tmp_path, suffix, mode):
    path = write_tar(tmp_path / f"faces.{suffix}", FILES, mode=mode)
    assert open_images(path).ids.tolist() == ["faces/2.PNG", "faces/10.png"]


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_of_every_form_are_read(tmp_path, form):
    name = "/".join(["folder"] * (12 if form == tarfile.USTAR_FORMAT else 60)) + "/ü.png"
    path = write_tar(tmp_path / "a.tar", {name: png(200)}, format=form)
    assert open_images(path).ids.tolist() == [name]


def test_links_and_devices_are_left_out(tmp_path):
    others = [
        member("link.png", tarfile.SYMTYPE, "/etc/passwd"),
        member("hard.png", tarfile.LNKTYPE, "faces/10.png"),
        member("device.png", tarfile.CHRTYPE),
        member("pipe.png", tarfile.FIFOTYPE),
        member("folder.png", tarfile.DIRTYPE),
    ]
    source = open_images(write_tar(tmp_path / "a.tar", FILES, *others))
    assert source.ids.tolist() == ["faces/2.PNG", "faces/10.png"]


def test_names_that_lead_out_of_an_archive_are_refused(tmp_path):
    path = write_tar(tmp_path / "a.tar", {"../1.png": png(200)})
    with pytest.raises(ImageError, match=r"holds '../1.png', which leads out of it"):
        open_images(path)
    absolute = write_tar(tmp_path / "b.tar", {"/data/1.png": png(200)})
    assert open_images(absolute).ids.tolist() == ["data/1.png"]


def test_the_partition_in_a_tar_is_taken(tmp_path):
    rows = b"image_id,partition\n2.PNG,2\n10.png,1\n"
    path = write_tar(tmp_path / "a.tgz", {**FILES, "list_eval_partition.csv": rows})
    source = open_images(path)
    assert source.splits.tolist() == ["test", "val"]
    assert source.split_rule == f"list_eval_partition.csv in {path}"
    assert source.passed_over == ["readme.txt"]


@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "tar.bz2", "tar.xz"])
@pytest.mark.parametrize("damage", ["cut off", "no archive", "empty"])
def test_what_is_no_whole_archive_is_refused(tmp_path, suffix, damage):
    path = write_tar(tmp_path / f"a.{suffix}", {f"{i}.png": png(i) + bytes(9000) for i in range(9)})
    data = path.read_bytes()
    path.write_bytes(
        {"cut off": data[: len(data) // 3], "no archive": b"hello", "empty": b""}[damage]
    )
    with pytest.raises(
        ImageError, match=r"a.tar.* (is no tar archive, or is cut off|holds no images)"
    ):
        open_images(path)


def test_two_members_of_one_name_and_none_at_all_are_refused(tmp_path):
    twice = {"1.png": png(1), "./1.png": png(2)}
    with pytest.raises(ImageError, match=r"holds '1.png' twice"):
        open_images(write_tar(tmp_path / "a.tar", twice))
    with pytest.raises(ImageError, match=r"holds no images .* only files such as 'train.npz'"):
        open_images(write_tar(tmp_path / "b.tar", {"train.npz": b"x"}))


def test_what_does_not_fit_beside_the_rest_is_refused(tmp_path, monkeypatch):
    path = write_tar(tmp_path / "a.tar.gz", {"1.png": png(1), "2.bin": bytes(1 << 16)})
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(spool.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(
        ImageError, match=r"half of what is free in .*: unpack it and give the fold"
    ):
        open_images(path)


def test_nothing_is_left_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(spool.tempfile, "tempdir", str(tmp_path / "room"))
    (tmp_path / "room").mkdir()
    source = open_images(write_tar(tmp_path / "a.tar.gz", FILES))
    assert np.array_equal(source.read(0), np.full((4, 6, 1), 200))
    assert list(Path(tmp_path / "room").iterdir()) == []


@pytest.mark.parametrize("suffix", ["tar", "tar.gz"])
def test_a_tar_that_may_not_be_read_is_not_called_damaged(tmp_path, monkeypatch, suffix):
    path = write_tar(tmp_path / f"a.{suffix}", FILES)

    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tars.Path, "open", refuse)
    monkeypatch.setattr(spool.tempfile, "TemporaryFile", refuse)
    with pytest.raises(ImageError, match=r"cannot be read: Permission denied"):
        open_images(path)
