"""What a TensorFlow checkpoint says of the objects that its variables belong to.

A key is the shortest way to a variable, which may be its number in a list of all. Here the way goes
through layers wherever there is one: ``layer_with_weights-0/layer_with_weights-13/kernel``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from latentmap.encoders.checkpoints.budget import Budget
from latentmap.encoders.checkpoints.protobuf import content, fields, number, text

_LAYER = "layer_with_weights-"
_NODE = 1000  # Bytes of memory for an object or a way to one, about.
_DEEPEST = 8


@dataclass
class _Node:
    children: dict[str, int] = field(default_factory=dict)
    key: str = ""
    full_name: str = ""


def object_names(graph: memoryview) -> dict[str, tuple[str, str]]:
    """The way to each variable and the name that its program gave it, by the variable's key, from a
    ``TrackableObjectGraph``.

    Raises:
        CheckpointError: it is none, or has more objects than a checkpoint.
    """
    budget = Budget()
    nodes = [_node(content(part), budget) for kind, part in fields(graph) if kind == 1]
    names = {node.key: (_as_name(node.key), node.full_name) for node in nodes if node.key}
    if not nodes:
        return names
    # The model may be an attribute of the object that was saved.
    starts = [("", 0), *((f"{name}/", child) for name, child in nodes[0].children.items())]
    waiting = [start for start in starts if start[1] < len(nodes)]
    seen = set()
    while waiting:
        way, place = waiting.pop(0)
        if place in seen or way.count("/") > _DEEPEST:
            continue
        seen.add(place)
        for name, child in nodes[place].children.items():
            budget.spend(_NODE + len(way))
            if child >= len(nodes):
                continue
            if name.startswith(_LAYER):
                waiting.append((f"{way}{name}/", child))
            elif nodes[child].key and _LAYER in way:
                names[nodes[child].key] = (f"{way}{name}", nodes[child].full_name)
    return names


def _as_name(key: str) -> str:
    return key.removesuffix("/.ATTRIBUTES/VARIABLE_VALUE")


def _node(message: memoryview, budget: Budget) -> _Node:
    """One object: those it holds by name, and where its value lies if it is a variable."""
    node = _Node()
    budget.spend(_NODE)
    for kind, part in fields(message):
        if kind == 1:
            child = dict(fields(content(part)))
            name = text(child.get(2, memoryview(b"")))
            budget.spend(_NODE + len(name))
            node.children[name] = number(child.get(1, 0))
        elif kind == 2:
            saved = dict(fields(content(part)))
            node.full_name = text(saved.get(2, memoryview(b"")))
            node.key = text(saved.get(3, memoryview(b"")))
            budget.spend(len(node.full_name) + len(node.key))
    return node
