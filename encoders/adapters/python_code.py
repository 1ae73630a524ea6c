"""The user's own code: ``python:module:function?option=value``. This scheme alone runs code.

The function gets the options as texts, by their names, and returns a ``Model``, or a dictionary:

    encode          takes images (n, c, h, w), gives codes (n, d) or (n, *latent_shape)
    decode          the way back; one of the two may be missing
    image_shape     (c, h, w)
    latent_shape    of a code; where there is ``encode``, it need not be given
    network         the torch module that holds the weights; not needed where the two are modules,
                    methods of one, or functions that use one by its name
    range           what black and white are for the network: (-1, 1); (0, 1) unless it is given
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import math
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from latentmap.encoders import LATENT
from latentmap.encoders.adapters.scaling import Scaling
from latentmap.encoders.references import Given
from latentmap.errors import LatentmapError, ModelError
from latentmap.files import reason_of
from latentmap.model import Model
from latentmap.model.clamping import clamp_to_unit

_DEEPEST = 4  # Steps from a function to a module that it uses, through functions and objects.
_KEYS = frozenset({"decode", "encode", "image_shape", "latent_shape", "network", "range"})


def load(given: Given) -> Model:
    """The model that a function of the user's returns.

    Raises:
        ModelError: there is no such function, it raises, or it returns something else.
    """
    module_name, _, function_name = given.name.partition(":")
    names = [*module_name.split("."), function_name]
    if not all(name.isidentifier() for name in names):
        raise ModelError(
            f"{given.text} does not name a function of a module: write python:module:function, "
            "for the file module.py in the current folder"
        )
    what = f"python:{given.name}"
    module = _import(module_name, given.folder.resolve(), what)
    function = getattr(module, function_name, None)
    if not callable(function):
        raise ModelError(
            f"{what}: {_file_of(module)} has no function {function_name!r}: give the name of one"
        )
    with _running(what):
        made = function(**given.options)
    if isinstance(made, Model):
        return made
    if not isinstance(made, Mapping):
        raise ModelError(
            f"{what} must return a latentmap Model, or a dictionary with encode, decode and "
            f"image_shape; it returned {type(made).__name__}"
        )
    with _running(what):
        return CallablesModel(made, what, module, options=given.options)


def _import(name: str, folder: Path, what: str) -> ModuleType:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    with _running(what):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise
            raise ModelError(
                f"{what}: there is no module {error.name!r} in {folder}, nor an installed one"
            ) from error


@contextmanager
def _running(what: str) -> Iterator[None]:
    """Says in one line what the user's code raises, and where. What it prints goes to stderr, since
    results go to stdout.

    Raises:
        ModelError: it raised something.
    """
    try:
        with redirect_stdout(sys.stderr):
            yield
    except (LatentmapError, MemoryError, torch.OutOfMemoryError):
        raise
    # Libraries in Rust panic with what is no Exception.
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt | GeneratorExit):
            raise
        raise ModelError(
            f"{what} raised {type(error).__name__}{_place_of(error)}: {_reason_of(error)}"
        ) from error


def _place_of(error: BaseException) -> str:
    """Where in the user's files it was raised; nothing where that says nothing."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    # A call that the function does not take, or a text that is no Python.
    if place.filename == __file__ or isinstance(error, SyntaxError):
        return ""
    return f" in {Path(place.filename).name}, line {place.lineno}"


def _reason_of(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"exit code {error.code}"
    try:
        return reason_of(error)
    except Exception:  # Its own text may raise, too.
        return "it does not say why"


class CallablesModel(Model):
    """Two functions of the user's, or one, as a model.

    The fingerprint is of the weights of the torch modules among them, and of the text of the
    functions and of the classes of these modules that stand in the same file; where there are no
    weights, it is of the text of the whole file, and ``config`` says so.
    """

    family = "python"

    def __init__(
        self, made: Mapping[str, Any], what: str, module: ModuleType, *, options: Mapping[str, str]
    ) -> None:
        _check(made, what)
        self._what = what
        self._parts: dict[str, Callable[[Tensor], Any]] = {
            verb: made[verb] for verb in ("encode", "decode") if made.get(verb) is not None
        }
        self.can_encode, self.can_decode = "encode" in self._parts, "decode" in self._parts
        self._pixels = Scaling.of_range(*map(float, made.get("range", (0, 1))))
        network = _network_of(made)
        image_shape: tuple[int, int, int] = tuple(made["image_shape"])
        latent_shape = self._latent_shape(made, network, image_shape)
        config: dict[str, Any] = {
            "function": what,
            "options": dict(options),
            "pixels": self._pixels.to_json(),
            "image_shape": list(image_shape),
            "latent_shape": list(latent_shape),
            "latent_dim": math.prod(latent_shape),
        }
        if network.state_dict():
            config["source"] = _digest(_texts_of(self._parts.values(), network, module))
        else:
            config["source"] = _digest([_source_of(module)])
            config["fingerprint_of"] = "the text of the module: no torch module was given"
        super().__init__(
            network,
            name=what,
            config=config,
            latent_dim=math.prod(latent_shape),
            latent_shape=latent_shape,
            space_kind=LATENT if self.can_encode else "z",
            image_shape=image_shape,
        )

    def _latent_shape(
        self, made: Mapping[str, Any], network: nn.Module, image_shape: tuple[int, int, int]
    ) -> tuple[int, ...]:
        if made.get("latent_shape") is not None:
            return tuple(made["latent_shape"])
        network.eval()
        with torch.no_grad():
            tensors = (*network.parameters(), *network.buffers())
            images = torch.zeros(1, *image_shape, device=tensors[0].device if tensors else "cpu")
            return tuple(self._run("encode", images).shape[1:])

    def _encode(self, images: Tensor) -> Tensor:
        return self._run("encode", self._pixels.apply(images))

    def _decode(self, codes: Tensor) -> Tensor:
        return clamp_to_unit(self._pixels.undo(self._run("decode", codes)))

    def _run(self, verb: str, given: Tensor) -> Tensor:
        with _running(f"{verb} of {self._what}"):
            found = torch.as_tensor(self._parts[verb](given))
            return found.to(given.device, torch.float32)


def _check(made: Mapping[str, Any], what: str) -> None:
    unknown = sorted(set(map(str, made)) - _KEYS)
    if unknown:
        raise ModelError(
            f"{what} returned a dictionary with {unknown[0]!r}: known are "
            f"{', '.join(sorted(_KEYS))}"
        )
    for verb in ("encode", "decode"):
        if made.get(verb) is not None and not callable(made[verb]):
            raise ModelError(f"{what}: {verb} must be a function, not {made[verb]!r}")
    if made.get("encode") is None and made.get("decode") is None:
        raise ModelError(f"{what} returned neither encode nor decode: give one of them, or both")
    _check_shape(made.get("image_shape"), (3,), f"{what}: image_shape", "(3, 64, 64)")
    if made.get("latent_shape") is not None or made.get("encode") is None:
        _check_shape(made.get("latent_shape"), (1, 2, 3), f"{what}: latent_shape", "(128,)")
    given = made.get("range", (0, 1))
    if not isinstance(given, tuple | list) or len(given) != 2 or not given[0] < given[1]:
        raise ModelError(f"{what}: range must be two numbers such as (-1, 1), not {given!r}")


def _check_shape(shape: Any, lengths: tuple[int, ...], what: str, example: str) -> None:
    fits = (
        isinstance(shape, tuple | list)
        and len(shape) in lengths
        and all(type(length) is int and length > 0 for length in shape)
    )
    if not fits:
        raise ModelError(f"{what} must be a tuple such as {example}, not {shape!r}")


def _network_of(made: Mapping[str, Any]) -> nn.Module:
    """The torch modules that the dictionary has, or that its functions are of, or use."""
    given = made.get("network")
    if given is not None and not isinstance(given, nn.Module):
        raise ModelError(f"network must be a torch module, not {type(given).__name__}")
    found = _modules_in([given, made.get("encode"), made.get("decode")], _DEEPEST)
    modules: list[nn.Module] = []
    for one in found:
        if not any(one is known for known in modules):
            modules.append(one)
    return nn.ModuleList(modules)


def _modules_in(value: Any, depth: int) -> Iterator[nn.Module]:
    """The torch modules that a value is, holds, or uses by its name."""
    if isinstance(value, nn.Module):
        yield value
    elif depth > 0 and not isinstance(value, type | ModuleType):
        for part in _parts_of(value):
            yield from _modules_in(part, depth - 1)


def _parts_of(value: Any) -> Iterable[Any]:
    if isinstance(value, list | tuple):
        return value
    if isinstance(value, dict):
        return list(value.values())
    if inspect.ismethod(value):
        return [value.__self__, value.__func__]
    if inspect.isfunction(value):
        used = inspect.getclosurevars(inspect.unwrap(value))
        return [*used.nonlocals.values(), *used.globals.values()]
    if isinstance(value, partial):
        return [value.func, value.args, value.keywords]
    return list(getattr(value, "__dict__", {}).values())


def _texts_of(
    functions: Iterable[Callable[[Tensor], Any]], network: nn.Module, module: ModuleType
) -> list[bytes]:
    """The texts of the functions, and of the classes of the network, as far as they stand in the
    file of ``module``: of other files, such as those of torch, the versions are not looked at.
    """
    classes = {type(one) for one in network.modules()}
    used: list[Any] = [one for one in functions if not isinstance(one, nn.Module)]
    used = [getattr(one, "func", one) for one in used]  # Of a partial one, what it calls.
    used += sorted(classes, key=lambda one: one.__qualname__)
    texts = []
    for one in used:
        if getattr(one, "__module__", None) == module.__name__:
            try:
                texts.append(inspect.getsource(one).encode())
            except (OSError, TypeError):  # Of an object that is called, or made by a program.
                texts.append(_source_of(module))
    return texts


def _digest(texts: Sequence[bytes]) -> str:
    return hashlib.sha256(b"\0".join(texts)).hexdigest()


def _source_of(module: ModuleType) -> bytes:
    path = module.__file__
    return b"" if path is None else Path(path).read_bytes()


def _file_of(module: ModuleType) -> str:
    return Path(module.__file__ or module.__name__).name
