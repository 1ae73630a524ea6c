import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentmap.errors import ImageError
from latentmap.images.companions import Companion
from latentmap.images.splits import PartitionFile, read_groups, split_by_hash
from latentmap.images.tables import parse_table, read_table


def test_the_hash_gives_eighty_ten_ten():
    splits = split_by_hash(np.arange(20000).astype(str))
    shares = [np.mean(splits == name) for name in ("train", "val", "test")]
    assert np.allclose(shares, [0.8, 0.1, 0.1], atol=0.01)


def test_the_split_of_an_id_is_the_same_for_ever():
    ids = np.array(["000001.jpg", "000008.jpg", "000012.jpg", "000028.jpg", "000029.jpg"])
    assert split_by_hash(ids).tolist() == ["train", "val", "val", "test", "test"]


@given(st.lists(st.text(min_size=1), unique=True, min_size=1), st.lists(st.text(min_size=1)))
def test_no_image_changes_sides_when_others_are_added(ids, others):
    # numpy's strings end before trailing zeros; no file name has any.
    ids = [name.replace("\0", "0") for name in ids]
    alone = split_by_hash(np.array(ids))
    together = split_by_hash(np.array([*others, *ids]))
    assert together[len(others) :].tolist() == alone.tolist()


def partition(text):
    return PartitionFile(Companion("list_eval_partition.txt", text.encode))


def test_the_partition_of_celeba_is_taken():
    file = partition("000001.jpg 0\n000002.jpg 2\n000003.jpg 1\n")
    ids = np.array(["img/000003.jpg", "img/000001.jpg", "img/000002.jpg"])
    assert file.splits(ids).tolist() == ["val", "train", "test"]


@pytest.mark.parametrize("value", ["3", "train", "0.5"])
def test_a_partition_with_other_values_is_refused(value):
    file = partition(f"1.jpg {value}\n")
    with pytest.raises(ImageError, match=r"must give each image 0 \(train\), 1 \(val\) or 2"):
        file.splits(np.array(["1.jpg"]))


def test_groups_come_from_a_table_of_two_columns(tmp_path):
    file = tmp_path / "identity.csv"
    file.write_text("file,identity\n1.jpg,2880\n2.jpg,7\n3.jpg,2880\n")
    assert read_groups(file)[1].tolist() == ["2880", "7", "2880"]
    file.write_text("file,identity\n1.jpg,anna\n2.jpg,7\n")
    table, groups = read_groups(file)
    assert (table.names, groups.tolist()) == (["1.jpg", "2.jpg"], ["anna", "7"])


def test_groups_need_exactly_two_columns(tmp_path):
    file = tmp_path / "identity.csv"
    file.write_text("file,identity,age\n1.jpg,2880,3\n")
    with pytest.raises(ImageError, match="must have two columns, the image and its group, not 3"):
        read_groups(file)


def test_tables_are_csv_or_celebas_formats(tmp_path):
    attributes = parse_table("2\nSmiling Young\n1.jpg  1 -1\n2.jpg -1 -1\n", "list_attr.txt")
    assert attributes.names == ["1.jpg", "2.jpg"]
    assert attributes.columns["Smiling"].tolist() == [1, -1]
    identity = parse_table("1.jpg 2880\n2.jpg 12\n", "identity_CelebA.txt")
    assert identity.columns["1"].tolist() == [2880, 12]
    file = tmp_path / "a.csv"
    file.write_text('\ufefffile, hair ,age\na\\1.jpg,"red, long",3.5\n\n2.jpg,grey,71\n')
    table = read_table(file)
    assert table.names == ["a/1.jpg", "2.jpg"]
    assert table.columns["hair"].tolist() == ["red, long", "grey"]
    assert table.columns["age"].tolist() == [3.5, 71]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n\n", "is empty: it needs a row for each image"),
        ("file,a,b\n1.jpg,1\n", "row 1 of t has 2 fields where the first line has 3"),
        ("1.jpg\n2.jpg\n", "the table t has one column"),
    ],
)
def test_what_is_no_table_is_refused(text, message):
    with pytest.raises(ImageError, match=message):
        parse_table(text, "t")


def test_a_table_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ImageError, match=r"the table .*t.csv cannot be read: No such file"):
        read_table(tmp_path / "t.csv")
    (tmp_path / "t.csv").write_bytes(b"\xff\xfe,\x00")
    with pytest.raises(ImageError, match=r"t.csv must be text in UTF-8"):
        read_table(tmp_path / "t.csv")
