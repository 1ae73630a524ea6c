"""Sealed documents: written as JSON is, and read however long they are, if they are ours."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from latentmap.cache.manifest import EntryKey, Manifest, Skipped
from latentmap.cache.plan import Plan, PlannedEntry
from latentmap.cache.sealed import seal, unseal
from latentmap.cache.shards import DamageError, ShardRecord
from latentmap.codes import Space
from latentmap.files import parse_json
from latentmap.frames import Frame
from latentmap.limits import limit, raised_limits

KEY = EntryKey("0" * 64, "z", "1" * 64, {}, {})
SPACE = Space("z", 3, "vae", "0" * 64)

PLAIN = some.one_of(some.text(), some.integers(), some.booleans())
VALUES = some.recursive(
    some.one_of(PLAIN, some.none(), some.floats(allow_nan=False)),
    lambda inner: some.one_of(some.lists(inner), some.dictionaries(some.text(), inner)),
    max_leaves=12,
)
LISTS = some.lists(some.dictionaries(some.text(), PLAIN, max_size=3), max_size=3)


@settings(deadline=None)
@given(some.dictionaries(some.text(), some.one_of(VALUES, LISTS), max_size=4))
def test_a_document_is_json_as_python_indents_it_and_is_read_again(body):
    body.pop("sha256", None)
    data = seal(body)
    plain = json.loads(data)
    assert data.decode() == json.dumps(plain, sort_keys=True, indent=1) + "\n"
    assert unseal(data, "it") == body


@settings(deadline=None)
@given(VALUES)
def test_only_what_is_no_text_counts_as_values(value):
    text = json.dumps({"a": value})
    bare = json.dumps({"a": without_texts(value)})
    values = sum(map(bare.count, ",[{"))
    with raised_limits({"memory": max(150 * values, 1)}):
        assert parse_json(text) == {"a": value}
    if 150 * values > 1:
        with raised_limits({"memory": 150 * values - 1}), pytest.raises(ValueError, match="memory"):
            parse_json(text)


def without_texts(value):
    """The same, where each text is empty, and each name a number."""
    if isinstance(value, dict):
        return {str(k): without_texts(one) for k, one in enumerate(value.values())}
    if isinstance(value, list):
        return [without_texts(one) for one in value]
    return "" if isinstance(value, str) else value


def skipping(count, name="%07d.png", message="no picture"):
    """A manifest of an entry that skipped so many images."""
    skipped = tuple(Skipped(k + 1, name % k, message) for k in range(count))
    shards = (ShardRecord(0, 1, 1, 2000, "a" * 64),)
    return Manifest(KEY, SPACE, Frame(), count + 1, count + 1, shards, skipped)


def sharded(count):
    """A manifest of an entry of so many shards of one image each, with a hole in every hundred."""
    there = [place for place in range(2 * count) if place % 100]
    shards = tuple(
        ShardRecord(place, place + 1, 1, 2000, f"{place:064x}") for place in there[:count]
    )
    end = shards[-1].stop
    holes = tuple((place, place + 1) for place in range(0, end, 100))
    return Manifest(KEY, SPACE, Frame(), end, count, shards, holes=holes)


def planned(count):
    """A plan of so many shards."""
    digests = tuple(f"{k:064x}" for k in range(count))
    return Plan("faces", count, 1, 1, (PlannedEntry(KEY, SPACE, Frame()),), digests)


@pytest.mark.parametrize(
    ("make", "count"), [(skipping, 40_000), (sharded, 25_000), (planned, 25_000)]
)
def test_what_is_written_is_read_however_much_it_is(make, count):
    document = make(count)
    # In a tenth of the memory a tenth of what is too much for other files.
    with raised_limits({"memory": limit("memory") // 10}):
        assert type(document).from_bytes(document.to_bytes()) == document


@pytest.mark.parametrize(
    "document",
    [
        skipping(60_000, "%x", ""),
        skipping(2_000, "%d" + ',[{\\"' * 100, ',[{\\"' * 100),
    ],
    ids=["with nothing said", "of odd names"],
)
def test_there_is_no_least_memory_that_a_long_document_needs(document):
    # Of any length: memory beside that of the size of the file is not needed.
    with raised_limits({"memory": 20_000}):
        assert Manifest.from_bytes(document.to_bytes()) == document


def test_a_document_that_nobody_of_us_wrote_takes_no_more_memory_than_its_size_allows():
    text = b'{"a": [' + b"{}," * 2_000_000 + b'{}], "sha256": "0"}'
    with pytest.raises(DamageError, match="it takes too much memory"):
        unseal(text, "it")
