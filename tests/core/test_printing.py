import pytest

from latentmap.printing import encodable, printable, shortened


@pytest.mark.parametrize("text", ["", "a b", "é", "e\u0301", "日本", "ß", "x\\n"])
def test_what_is_seen_stays(text):
    assert printable(text) == text == encodable(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("a\nb\rc\x85", r"a\nb\rc\x85"),
        ("a\u202egpj.exe", r"a\u202egpj.exe"),
        ("\u200b\u2066\ufeff\u2028", r"\u200b\u2066\ufeff\u2028"),
        ("\u3164\ufe0f\U000e0101", r"\u3164\ufe0f\U000e0101"),
        ("bad\udcff.png", r"bad\xff.png"),
        ("half\ud83d", r"half\ud83d"),
    ],
)
def test_what_is_not_seen_is_an_escape(text, shown):
    assert printable(text) == shown
    assert printable(shown) == shown


@pytest.mark.parametrize("length", [1, 59, 60, 61, 62, 500])
def test_a_long_name_keeps_its_beginning_and_its_end(length):
    name = "".join(chr(0x4E00 + i) for i in range(length))
    short = shortened(name)
    assert len(short) == min(length, 60)
    begin, _, end = short.partition("...")
    assert name.startswith(begin) and name.endswith(end)
    assert (short == name) == (length <= 60)


def test_lone_surrogates_alone_cannot_be_encoded():
    assert encodable("\x1b\u202ebad\udcff\ud83d") == "\x1b\u202ebad\\xff\\ud83d"
