import io
import logging
import struct
import warnings

import numpy as np
import pytest
from PIL import Image

from latentmap.images.decoding import decode
from latentmap.images.remarks import without_remarks


def tiff(count):
    """A picture with one tag more, whose values lie behind the end of the file."""
    stream = io.BytesIO()
    Image.fromarray(np.full((4, 6), 7, np.uint8)).save(stream, "TIFF")
    data = bytearray(stream.getvalue())
    start = struct.unpack_from("<I", data, 4)[0]
    tags = struct.unpack_from("<H", data, start)[0]
    entries = [data[start + 2 + 12 * k : start + 14 + 12 * k] for k in range(tags)]
    entries.append(struct.pack("<HHII", 60_000, 2, count, len(data) + 10**6))
    directory = struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    return bytes(data[:4] + struct.pack("<I", len(data)) + data[8:] + directory)


@pytest.mark.parametrize("action", ["error", "always"])
def test_what_pillow_remarks_on_is_no_matter_of_the_warnings_that_are_shown(action):
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter(action)
        before = list(warnings.filters)
        assert (decode(tiff(5000)) == 7).all()
        assert warnings.filters == before
    assert shown == []


def test_what_pillow_logs_is_not_printed(capsys, monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    with without_remarks():
        logging.getLogger("PIL.TiffImagePlugin").error("more than can be decoded")
    assert capsys.readouterr().err == ""


def test_filters_that_others_restore_in_the_meantime_stay_theirs():
    before = list(warnings.filters)
    with warnings.catch_warnings():
        with without_remarks():
            warnings.resetwarnings()
        assert warnings.filters == []
    assert warnings.filters == before
