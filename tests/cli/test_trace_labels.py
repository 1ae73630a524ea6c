"""The labels of a trace: found with the images, or given as a table."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from latentmap.cli.main import main
from latentmap.diagnostics.traces import Trace

TINY = "train vae --architecture dense --widths 4 --latent-dim 2 --steps 2 --batch-size 20".split()


@pytest.fixture
def train(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(*words):
        return CliRunner().invoke(main, [*TINY, "--out", "a.safetensors", *words])

    return call


def test_ten_images_of_each_label_are_followed_where_labels_are_known(train):
    result = train("--data", "digits", "--limit", "600", "--trace", "a.trace")
    assert result.exit_code == 0, result.output
    trace = Trace.load("a.trace")
    assert trace.labels == tuple(str(i // 10) for i in range(100))
    shown = CliRunner().invoke(main, ["trace", "show", "a.trace", "--paths", "paths.png"])
    assert shown.exit_code == 0, shown.output
    assert "of labels" in shown.stdout
    words = ["trace", "show", "a.trace", "--figure", "new.png", "--paths", "paths.txt"]
    refused = CliRunner().invoke(main, words)
    assert refused.exit_code == 1
    assert "paths.txt must end in .pdf, .svg" in refused.stderr
    assert not Path("new.png").exists()  # It is told before anything is drawn.


def test_a_table_names_the_labels_of_a_split(train, tmp_path):
    rows = "".join(f"{i},{i % 7},{'odd' if i % 2 else 'even'}\n" for i in range(300))
    (tmp_path / "labels.csv").write_text("image,week,kind\n" + rows)
    choice = ("--data", "digits", "--split", "val", "--limit", "40", "--trace", "a.trace")
    few = ("--trace-images", "3", "--labels", "labels.csv:kind")
    result = train(*choice, *few)
    assert result.exit_code == 1
    assert "are not in labels.csv" in result.output
    rows = "".join(f"{i},{i % 7},{'odd' if i % 2 else 'even'}\n" for i in range(1797))
    (tmp_path / "labels.csv").write_text("image,week,kind\n" + rows)
    result = train(*choice, *few)
    assert result.exit_code == 0, result.output
    trace = Trace.load("a.trace")
    assert trace.labels == ("even",) * 3 + ("odd",) * 3
    assert [int(one) % 2 for one in trace.ids] == [0, 0, 0, 1, 1, 1]


def test_labels_without_a_trace_are_wrong_usage(train, tmp_path):
    (tmp_path / "labels.csv").write_text("image,kind\n0,a\n")
    result = train("--data", "digits", "--labels", "labels.csv")
    assert result.exit_code == 2
    assert "--labels is for --trace FILE" in result.output


def test_labels_of_other_images_stop_a_training_before_it_begins(train, tmp_path):
    pixels = np.full((40, 8, 8), 200, np.uint8)
    np.savez(tmp_path / "some.npz", images=pixels, labels=np.arange(39))
    result = train("--data", "some.npz", "--trace", "a.trace")
    assert result.exit_code == 1
    assert "labels of shape (39,) for 40 images" in result.output
    assert not (tmp_path / "a.safetensors.training").exists()
    assert train("--data", "some.npz").exit_code == 0
