"""Where a cache is that nobody names."""

from pathlib import Path

import pytest

from latentmap.errors import CacheError
from latentmap.files.home import cache_home, nobody_named


@pytest.mark.parametrize(
    ("environ", "platform", "home"),
    [
        ({}, "linux", "/home/ada/.cache/latentmap"),
        ({"XDG_CACHE_HOME": "/scratch"}, "linux", "/scratch/latentmap"),
        ({"XDG_CACHE_HOME": "here"}, "linux", "/home/ada/.cache/latentmap"),
        ({"XDG_CACHE_HOME": ""}, "freebsd14", "/home/ada/.cache/latentmap"),
        ({"XDG_CACHE_HOME": "/scratch"}, "darwin", "/home/ada/Library/Caches/latentmap"),
        ({"LATENTMAP_CACHE": "", "XDG_CACHE_HOME": "/a"}, "linux", "/a/latentmap"),
        ({"LATENTMAP_CACHE": "codes", "XDG_CACHE_HOME": "/a"}, "linux", "codes"),
        ({"LATENTMAP_CACHE": "/data/codes"}, "darwin", "/data/codes"),
    ],
)
def test_the_home_is_that_of_the_variable_or_of_the_platform(environ, platform, home, monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    assert cache_home(environ, platform=platform) == Path(home)


def test_who_has_no_home_must_name_a_folder(monkeypatch):
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(CacheError, match=r"there is no home .* name a folder with --cache FOLDER"):
        cache_home({})
    assert cache_home({"LATENTMAP_CACHE": "codes"}) == Path("codes")


def test_nobody_names_the_folder_of_the_platform(monkeypatch):
    monkeypatch.delenv("LATENTMAP_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert nobody_named(Path("/caches/latentmap"))
    assert not nobody_named(Path("codes"))
    monkeypatch.setenv("LATENTMAP_CACHE", "/caches/latentmap")
    assert not nobody_named(Path("/caches/latentmap"))
