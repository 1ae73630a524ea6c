"""Where a cache is that nobody names."""

from pathlib import Path

import pytest

from latentmap.cache.home import cache_home, cache_words
from latentmap.errors import CacheError


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


def test_only_another_cache_than_the_home_has_to_be_named(monkeypatch):
    monkeypatch.setenv("LATENTMAP_CACHE", "/data/codes")
    assert cache_words(Path("/data/codes")) == ""
    assert cache_words(Path("my codes")) == " --cache 'my codes'"
