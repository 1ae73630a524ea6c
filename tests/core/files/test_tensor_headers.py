import json
import struct

import pytest
import torch

from latentmap.encoders.checkpoints.safetensors_files import open_safetensors
from latentmap.encoders.native import read_header
from latentmap.errors import CheckpointError, ModelError
from latentmap.files.tensor_headers import open_tensors


def written(path, header, spaces=0):
    text = json.dumps(header).encode() + b" " * spaces
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(4))
    return path


ONE = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}


@pytest.mark.parametrize("read", [read_header, open_safetensors])
def test_a_header_that_takes_too_much_memory_is_refused(tmp_path, read):
    path = written(tmp_path / "a.safetensors", {"a": ONE}, spaces=6_000_000)
    with pytest.raises((ModelError, CheckpointError), match=r"its header.*--limit memory=N"):
        read(path)


def test_a_file_that_is_no_safetensors_is_told_as_what_it_is(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(b"PK\x03\x04" + bytes(6_000_000))
    with pytest.raises(ModelError, match="is a zip archive, not a model file"):
        read_header(tmp_path / "a.safetensors")


def test_tensors_are_read(tmp_path):
    path = written(tmp_path / "a.safetensors", {"a": ONE})
    with open_tensors(path, ModelError) as file:
        assert torch.equal(file.get_tensor("a"), torch.zeros(1))
