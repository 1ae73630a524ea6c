"""The networks in a file: module objects that were pickled whole, or dictionaries of tensors.

A module of PyTorch is a dictionary with ``_parameters``, ``_buffers`` and ``_modules``. It stands
in the file as an ordinary object, or as a persistence object of NVIDIA's repositories: a call of
``_reconstruct_persistent_obj`` with a dictionary that holds the class's source text and the state.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from latentmap.encoders.checkpoints.budget import Budget
from latentmap.encoders.checkpoints.descriptions import described_mapping, shown
from latentmap.encoders.checkpoints.values import Record, TensorView, as_mapping, text_digest
from latentmap.encoders.checkpoints.views import as_tensor
from latentmap.errors import CheckpointError

# Names and paths are longer in no network.
_LONGEST = 500
_CANDIDATES = 100
# What a tensor costs that is found: its view, its name and their place.
_TENSOR = 250
_TENSOR_KINDS = ("_parameters", "_buffers")
_PREFIX = "module."


def candidates(value: Any, walk: Budget) -> dict[str, Any]:
    """What may be networks: the whole of the file, or the entries of the dictionary that it is."""
    if network_tensors(value, walk):
        return {"network": value}
    return dict(itertools.islice(named(value).items(), _CANDIDATES))


def network_tensors(value: Any, walk: Budget) -> dict[str, TensorView]:
    """The parameters and buffers of a module or of a dictionary of tensors, by their dotted names;
    nothing where the value is neither.

    Prefixes that parallel training puts before all names (``module.``) are left out. ``walk`` is
    the memory that looking may take.

    Raises:
        CheckpointError: there are more than any network has.
    """
    if module_state(value):
        tensors = {
            f"{path}{name}": view
            for path, state in submodules(value, walk)
            for kind in _TENSOR_KINDS
            for name, view in named(state.get(kind)).items()
            if isinstance(view, TensorView)
        }
    else:
        tensors = _dictionary_tensors(as_mapping(value), walk)
    # Once for the data-parallel module, once more for a wrapper around it.
    for _ in range(2):
        if all(name.startswith(_PREFIX) for name in tensors):
            tensors = {name.removeprefix(_PREFIX): view for name, view in tensors.items()}
    return tensors


def named(value: Any) -> dict[str, Any]:
    """The entries of a dictionary, or of its record, that have a text for a key."""
    return {key: entry for key, entry in as_mapping(value).items() if isinstance(key, str)}


def submodules(value: Any, walk: Budget) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The attributes of a module and of all modules in it, each after its path (``synthesis.b4.``;
    the outermost's is empty); nothing where the value is no module.

    Raises:
        CheckpointError: there are more than any network has, as in a module within itself.
    """
    waiting = [("", value)]
    while waiting:
        path, module = waiting.pop()
        state = module_state(module)
        if not state:
            continue
        for kind in (*_TENSOR_KINDS, "_modules"):
            _spend(walk, path, as_mapping(state.get(kind)))
        yield path, state
        children = named(state.get("_modules"))
        waiting += [(f"{path}{name}.", child) for name, child in reversed([*children.items()])]


def module_state(value: Any) -> Mapping[str, Any]:
    """The attributes of a module; nothing where the value is none."""
    state = as_mapping(_persistence(value).get("state", value))
    return state if "_parameters" in state and "_modules" in state else {}


def class_name(value: Any) -> str | None:
    """The name of a module's class, where the value is a module."""
    if isinstance(value, Record) and module_state(value):
        name = _persistence(value).get("class_name", value.name)
        return shown(name) if isinstance(name, str) else None
    return None


def constructor_arguments(value: Any) -> dict[str, Any]:
    """The keyword arguments, as JSON, that a persistence object was made with."""
    return described_mapping(module_state(value).get("_init_kwargs"))


def source_digest(value: Any) -> str | None:
    """The sha256 of the source text that came with a persistence object and is not run."""
    return text_digest(_persistence(value).get("module_src"))


def _persistence(value: Any) -> Mapping[str, Any]:
    # Copies of the repositories put the module elsewhere: only the end of its name is the same.
    if isinstance(value, Record) and value.name.endswith("._reconstruct_persistent_obj"):
        return as_mapping(value.args[0]) if value.args else {}
    return {}


def _dictionary_tensors(values: Mapping[Any, Any], walk: Budget) -> dict[str, TensorView]:
    """The entries of a dictionary that holds tensors, and numbers, and nothing else."""
    tensors: dict[str, TensorView] = {}
    for name, value in values.items():
        view = as_tensor(value)
        if not isinstance(name, str) or view is None:
            return {}
        _spend(walk, "", (name,))
        tensors[name] = view
    return tensors if any(view.shape for view in tensors.values()) else {}


def _spend(walk: Budget, path: str, names: Iterable[Any]) -> None:
    """Pays for what is found at a path under these names, each of which gets the path before it."""
    for name in names:
        length = len(path) + (len(name) if isinstance(name, str) else 0)
        if length > _LONGEST:
            raise CheckpointError(
                f"a network in the file has names of more than {_LONGEST} characters, or modules "
                "within themselves: the file is damaged"
            )
        walk.spend(_TENSOR + length)
