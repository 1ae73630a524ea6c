"""Headers of the plain kind are read as Python's own reader reads them."""

import io
import random
import tarfile
from typing import Any

import pytest

from latentmap.errors import ImageError
from latentmap.files import tar_members as module
from latentmap.files.tar_members import TarPlace, tar_members
from latentmap.limits import Allowance

KINDS = {
    "folder/": tarfile.DIRTYPE,
    "link.png": tarfile.SYMTYPE,
    "hard.png": tarfile.LNKTYPE,
    "pipe.png": tarfile.FIFOTYPE,
    "device.png": tarfile.CHRTYPE,
    "plain.png": tarfile.CONTTYPE,
}


def archive(*, form, special=(), long=False, mtime=0, count=9):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as made:
        for k in range(count):
            name = f"{'folder/' * (30 if long else 1)}{k}é.png"
            member = tarfile.TarInfo(name)
            member.size, member.mtime = 300 * k, mtime
            made.addfile(member, io.BytesIO(bytes([k]) * member.size))
            if k < len(special):
                other = tarfile.TarInfo(special[k])
                other.type, other.linkname = KINDS[special[k]], "target"
                made.addfile(other)
    return stream.getvalue()


def by_python(data):
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as made:
        return [
            (member.name, TarPlace(member.offset_data, member.size))
            for member in made
            if member.type in tarfile.REGULAR_TYPES and not member.issparse()
        ]


def by_us(data):
    return list(tar_members(io.BytesIO(data), len(data), Allowance("a", len(data), ImageError)))


def outcome(read, data):
    try:
        return read(data)
    except (tarfile.TarError, ValueError, ImageError):
        return None


ARCHIVES: dict[str, bytes] = {
    f"{form} {name}": archive(form=number, **options)
    for form, number in (
        ("ustar", tarfile.USTAR_FORMAT),
        ("gnu", tarfile.GNU_FORMAT),
        ("pax", tarfile.PAX_FORMAT),
    )
    for name, options in dict[str, Any](
        {
            "plain": {},
            "special": {"special": tuple(KINDS)},
            "times": {"mtime": 1.5},
            "long": {"long": form != "ustar"},
            "empty": {"count": 0},
        }
    ).items()
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_the_members_are_those_that_python_finds(name):
    data = ARCHIVES[name]
    assert by_us(data) == by_python(data)
    assert by_us(data.rstrip(b"\0") + bytes(512)) == by_python(data)


def test_archives_of_plain_headers_are_read_here(monkeypatch):
    opened = []
    real = module.tarfile.open
    monkeypatch.setattr(
        module.tarfile, "open", lambda **options: opened.append(1) or real(**options)
    )
    places = []
    monkeypatch.setattr(
        module,
        "_plain",
        lambda file, place, plain=module._plain: places.append(place) or plain(file, place),
    )
    data = ARCHIVES["ustar plain"]
    assert len(by_us(data)) == 9
    # Python's reader sees what comes behind the last file alone.
    assert len(opened) == 1 and len(places) == 10


@pytest.mark.parametrize("name", ["ustar plain", "gnu special", "pax long", "ustar special"])
def test_what_is_damaged_is_no_more_than_python_finds(name):
    chance = random.Random(0)
    data = ARCHIVES[name]
    for _ in range(300):
        bad = bytearray(data)
        for _ in range(chance.choice((1, 1, 4))):
            bad[chance.randrange(len(bad))] = chance.randrange(256)
        cut = bytes(bad)[: chance.choice((len(bad), chance.randrange(len(bad))))]
        ours, theirs = outcome(by_us, cut), outcome(by_python, cut)
        if ours is not None:
            # What we refuse beside, as files that end behind the archive, Python does not look at.
            assert ours == theirs
