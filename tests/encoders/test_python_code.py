"""The user's own code as a model: what it may return, and what is said where it is wrong."""

import shutil
import sys

import pytest
import torch

from latentmap.encoders import load
from latentmap.errors import ModelError
from latentmap.model.testing import check_model

# A module of ten lines: a network, a way in and a way out.
MINE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.into, self.out = nn.Linear(12, 3), nn.Linear(3, 12)

def load(seed="0"):
    torch.manual_seed(int(seed))
    net = Net()
    return {
        "encode": lambda images: net.into(images.flatten(1)),
        "decode": lambda codes: net.out(codes).tanh().reshape(-1, 3, 2, 2),
        "image_shape": (3, 2, 2),
        "range": (-1, 1),
    }
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes a module of a name of its own into the current folder, and gives its reference."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    names = iter(f"mine_{tmp_path.name.replace('-', '_')}_{number}" for number in range(9))

    def written(text, function="load"):
        name = next(names)
        (tmp_path / f"{name}.py").write_text(text)
        return f"python:{name}:{function}"

    return written


def test_two_functions_are_a_model(write):
    reference = write(MINE)
    model = load(reference)
    check_model(model)
    assert (model.image_shape, model.latent_shape) == ((3, 2, 2), (3,))
    images = torch.rand(4, 3, 2, 2)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        into, out = torch.nn.Linear(12, 3), torch.nn.Linear(3, 12)
    codes = into((2 * images - 1).flatten(1))
    assert torch.allclose(model.encode(images), codes, atol=1e-6)
    expected = (out(codes).tanh().reshape(-1, 3, 2, 2) + 1) / 2
    assert torch.allclose(model.decode(codes.detach()), expected, atol=1e-6)


def test_the_weights_that_functions_use_decide_the_fingerprint(write):
    reference = write(MINE)
    model = load(reference)
    assert len(model.network.state_dict()) == 4
    assert not model.network.training
    assert "fingerprint_of" not in model.config
    assert model.fingerprint == load(reference).fingerprint
    assert model.fingerprint != load(f"{reference}?seed=1").fingerprint


WAYS = """
from functools import partial
import torch
from torch import nn

class Wrapped:
    def __init__(self, net):
        self.nets = {"into": net}
    def encode(self, images):
        return self.nets["into"](images)

def load(seed, way):
    torch.manual_seed(int(seed))
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2), nn.Dropout(0.5))
    nets = [net]
    @torch.no_grad()
    def decorated(images):
        return net(images)
    ways = {
        "module": net,
        "object": Wrapped(net).encode,
        "list": lambda images: nets[0](images),
        "decorated": decorated,
        "helper": lambda images: decorated(images),
        "partial": partial(lambda net, images: net(images), net),
    }
    return {"encode": ways[way], "image_shape": (1, 2, 2)}
"""


@pytest.mark.parametrize("way", ["module", "object", "list", "decorated", "helper", "partial"])
def test_weights_are_found_behind_objects_and_functions(write, way):
    reference = write(WAYS)
    one, other = (load(f"{reference}?way={way}&seed={seed}") for seed in (1, 2))
    assert len(one.network.state_dict()) == 2
    assert not torch.equal(*(next(iter(m.network.state_dict().values())) for m in (one, other)))
    check_model(one)  # A network that is not found would drop other numbers every time.


def test_the_text_of_what_runs_decides_the_fingerprint_too(write, tmp_path):
    reference = write(MINE)
    path = tmp_path / f"{reference.split(':')[1]}.py"
    known = load(reference).fingerprint

    def changed(old, new):
        sys.modules.pop(path.stem)
        assert old in MINE
        path.write_text(MINE.replace(old, new))
        shutil.rmtree(tmp_path / "__pycache__", ignore_errors=True)
        return load(reference).fingerprint

    assert changed("net.into(images", "net.into(2 * images") != known
    assert changed("super().__init__()", "super().__init__()  # It does something else.") != known
    # What is beside it may change.
    assert changed("import torch\n", "import torch\nBATCH = 5\n") == known


def test_the_text_of_what_a_partial_function_calls_is_looked_at(write):
    text = """
from functools import partial
from torch import nn
def into(images, by):
    return images.flatten(1) * by
def load():
    net = nn.BatchNorm1d(2)
    return {"encode": partial(into, by=2), "image_shape": (1, 1, 2), "network": net}
"""
    one, other = (load(write(text.replace("* by", how))) for how in ("* by", "+ by"))
    assert one.config["source"] != other.config["source"]


def test_without_weights_the_text_of_the_module_decides(write):
    text = """
def load():
    return {"encode": lambda x: x.flatten(1), "image_shape": [1, 2, 2]}
"""
    model = load(write(text))
    assert not model.can_decode
    check_model(model)
    assert model.config["fingerprint_of"].startswith("the text of the module")
    other = load(write(text + "# another text\n"))
    assert model.config["source"] != other.config["source"]


def test_a_decoder_alone_says_how_large_its_codes_are(write):
    text = """
import torch
def load():
    return dict(decode=lambda codes: codes.sigmoid(), image_shape=(1, 2, 2), latent_shape=(1, 2, 2))
"""
    model = load(write(text))
    assert (model.can_encode, model.latent_shape) == (False, (1, 2, 2))
    check_model(model)


def test_numpy_is_taken_for_tensors(write):
    text = """
def load():
    return {"encode": lambda images: images.numpy().mean((2, 3)), "image_shape": (3, 4, 4)}
"""
    images = torch.rand(2, 3, 4, 4)
    assert torch.allclose(load(write(text)).encode(images), images.mean((2, 3)), atol=1e-6)


def test_a_model_is_taken_as_it_is(write):
    text = """
from latentmap.model.testing import LinearModel
def load(size="4"):
    return LinearModel(int(size))
"""
    reference = write(text)
    assert load(reference).latent_dim == 4
    check_model(load(reference))


def test_a_module_in_the_current_folder_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [one for one in __import__("sys").path if one])
    (tmp_path / "only_here.py").write_text(MINE)
    assert load("python:only_here:load").latent_dim == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 / 0", r"raised ZeroDivisionError in mine_\w+\.py, line 1: division by zero"),
        ("import no_such_module_at_all", "raised ModuleNotFoundError in .*no_such_module_at_all"),
        ("def load(:", "raised SyntaxError"),
        ("def load():\n    raise KeyError('weights')", r"raised KeyError in \w+\.py, line 2: "),
        ("def load():\n    raise SystemExit(3)", "raised SystemExit in .*: exit code 3"),
        ("def other(): pass", "has no function 'load'"),
        ("def load(): return 5", "must return a latentmap Model, or a dictionary .* returned int"),
        ("def load(): return {}", "neither encode nor decode"),
        ("def load(): return {'encode': 5}", "encode must be a function, not 5"),
        ("def load(): return {'encoder': print}", "with 'encoder': known are decode, encode"),
        ("def load(): return {'encode': print}", "image_shape must be a tuple .*, not None"),
        (
            "def load(): return {'decode': print, 'image_shape': (1, 2, 2)}",
            "latent_shape must be a tuple .*, not None",
        ),
        (
            "def load(): return {'encode': print, 'image_shape': (1, 2, 2), 'range': 255}",
            r"range must be two numbers such as \(-1, 1\), not 255",
        ),
        (
            "def load(): return {'encode': len, 'image_shape': (1, 2, 2), 'network': 5}",
            "network must be a torch module, not int",
        ),
        (
            "def load(): return {'encode': lambda x: x.nothing, 'image_shape': (1, 2, 2)}",
            "encode of python:.* raised AttributeError in .*, line 1",
        ),
    ],
)
def test_what_is_wrong_with_a_module_is_said_in_one_line(write, text, message):
    with pytest.raises(ModelError, match=message) as caught:
        load(write(text))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "reference", ["python:", "python:mine", "python:mine.py:load", "python::f"]
)
def test_a_reference_names_a_function_of_a_module(reference):
    with pytest.raises(ModelError, match=r"write python:module:function|there is no module"):
        load(reference)


def test_a_missing_module_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=f"there is no module 'not_there' in {tmp_path}"):
        load("python:not_there:load")


def test_an_option_that_the_function_does_not_take_is_refused(write):
    with pytest.raises(
        ModelError, match=r"raised TypeError: .*unexpected keyword argument 'depth'"
    ):
        load(f"{write(MINE)}?depth=3")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def load(:\n", r"raised SyntaxError: invalid syntax"),
        ("def load(x): pass\n", r"raised TypeError: load\(\) missing 1 required"),
        ("class Panic(BaseException): pass\ndef load(): raise Panic('odd')\n", r"line 2: odd"),
        (
            "class Mute(Exception):\n    def __str__(self): raise ValueError\n"
            "def load(): raise Mute\n",
            "raised Mute in .*, line 3: it does not say why",
        ),
    ],
    ids=["no Python", "another signature", "no Exception", "without words"],
)
def test_whatever_code_raises_is_one_line(write, text, message):
    with pytest.raises(ModelError, match=message) as raised:
        load(write(text))
    assert "python_code.py" not in str(raised.value)


def test_codes_of_another_number_or_shape_are_refused(write):
    text = "def load(): return {'encode': lambda x: %s, 'image_shape': (1, 2, 2)}\n"
    pixels = torch.zeros(3, 1, 2, 2, dtype=torch.uint8)
    one = load(write(text % "x.flatten(1)[:1]"))
    with pytest.raises(ModelError, match=r"must give codes of shape \(3, 4\), not \(1, 4\)"):
        one.encode_pixels(pixels)
    listed = load(write(text % "[1, 2]"))
    with pytest.raises(ModelError, match=r"must give codes of shape \(3, 1\), not \(2,\)"):
        listed.encode_pixels(pixels)


def test_what_code_prints_is_no_result(write, capsys):
    load(write("print('hello')\n" + MINE.replace("    net = Net()", "    net = Net(); print(1)")))
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "hello\n1\n")
