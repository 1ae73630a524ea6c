import json

import pytest

from latentmap.files import parse_json


def test_an_object_is_what_it_says():
    record = {"a": [1, 2.5, None, {"b": "é"}], "deep": json.loads("[" * 60 + "]" * 60)}
    assert parse_json(json.dumps(record)) == parse_json(json.dumps(record).encode()) == record


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[1]", "it is a list, not an object"),
        ("null", "it is a NoneType, not an object"),
        ("{", "Expecting property name"),
        ('{"a": ' + "[" * 70 + "]" * 70 + "}", "nested too deeply"),
        ('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deeply"),
        ('{"a": 1' + "0" * 5000 + "}", "Exceeds the limit"),
        ('{"a": 1, "a": 2}', "a name stands twice in one object"),
        (b'{"a": "\xff"}', "can't decode byte"),
        ("{}".encode("utf-16"), "can't decode byte"),
    ],
)
def test_what_is_no_object_is_refused_in_words(text, said):
    with pytest.raises(ValueError, match=said):
        parse_json(text)


def test_a_text_that_would_fill_the_memory_is_refused_before_it_is_read():
    with pytest.raises(ValueError, match="takes too much memory; if that is right, raise the"):
        parse_json(b'{"a": [' + b"{}," * 1_000_000 + b"{}]}")
    with pytest.raises(ValueError, match="takes too much memory"):
        parse_json('{"a": "\U0001f600' + "x" * 40_000_000 + '"}')
