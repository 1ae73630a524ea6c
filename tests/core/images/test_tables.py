"""Tables that are not as they should be, and how much memory they may ask for."""

import numpy as np
import pytest

from latentmap.errors import ImageError
from latentmap.images.tables import parse_table
from latentmap.limits import raised_limits


def test_columns_are_numbers_where_all_of_them_are():
    table = parse_table(b"\xef\xbb\xbff, a,b\r\n\r\n1.png,1,x\r\n a\\2.png ,-2e3, 007\r\n", "t")
    assert table.names == ["1.png", "a/2.png"]
    assert table.columns["a"].tolist() == [1, -2000]
    assert table.columns["b"].tolist() == ["x", "007"]
    assert parse_table(b"f,a\r1,2\r", "t").columns["a"].tolist() == [2]
    assert parse_table(b"1\n a b\nx.png 1 -1\n", "t").columns["b"].tolist() == [-1]
    assert parse_table(b"x.png 7\n", "t").columns["1"].tolist() == [7]
    assert parse_table(b"f,a\n", "t").columns["a"].tolist() == []


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            b"f,a\n1,\0\n",
            "t.csv must be text in UTF-8, which line 2 is not: it holds bytes of zero",
        ),
        (b"f,a\n1,1\n2,\xff\n", "t.csv must be text in UTF-8, which line 3 is not: invalid"),
        (b"f,a\n" + b"x" * 2_000_000, "in lines of a table: line 2 has 2000000 bytes"),
        (b"f,a\n1," + b"x" * 200_000, r"t.csv is not as it should be \(field larger than field"),
        (b'f,a\n1,"' + b"xx\n" * 100_000, r"t.csv is not as it should be \(field larger"),
        (b"f,a,b,a\n1,1,2,3\n", "has two columns 'a': rename one"),
        (b"\n" * 100_000, "is empty: it needs a row"),
        (b"f,a\n1\n", "row 1 of t.csv has 1 fields where the first line has 2"),
        (b"f" + b",%d" % 1 * 2000, r"asks for more memory than .* \(2001 columns\)"),
        (b"f,a\n" + b"1,1\n" * 3000, r"asks for more memory than .* rows\): .*raise the limit"),
        (b"f,a\n" + b"1,y\n" * 500 + b"2," + b"x" * 90, r"asks for .* \(texts of 90 letters\)"),
    ],
)
def test_a_table_that_is_none_or_too_large_is_refused_in_one_line(data, message):
    with raised_limits({"memory": 300_000}), pytest.raises(ImageError, match=message) as raised:
        parse_table(data, "t.csv")
    assert len(str(raised.value)) < 500


def test_a_number_of_any_length_is_one():
    assert parse_table(b"f,a\n1," + b"9" * 10_000 + b"\n", "t").columns["a"].tolist() == [np.inf]
