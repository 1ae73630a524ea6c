import pickle

import pytest

from latentmap.errors import CacheError, ImageError


@pytest.mark.parametrize("error", [ImageError, CacheError])
def test_a_message_is_a_short_line_whatever_it_quotes(error):
    raised = error("the name\n\x1b[2J\u202e" + "9" * 5000 + " is too long: rename it")
    for line in (str(raised), str(pickle.loads(pickle.dumps(raised)))):
        assert line.startswith(r"the name \x1b[2J\u202e999") and line.endswith(
            "999 is too long: rename it"
        )
        assert line.isprintable() and len(line) < 600
