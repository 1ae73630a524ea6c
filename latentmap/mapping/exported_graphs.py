"""A map as an ONNX graph of one layer: ``codes`` to ``mapped``, for any number of codes, and of
patches for grids of any height and width.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from latentmap.errors import MapError
from latentmap.mapping.exported_layers import Layer, about, layer_of

if TYPE_CHECKING:
    from latentmap.mapping.linear_map import LinearMap
    from latentmap.mapping.stored_map import StoredMap

# As old as have all of it, for as many programs as can be.
_OPERATORS, _FORMAT = 13, 7
_MOST = 2**31 - 2**20  # Bytes of a graph in one file.


def onnx_bytes(linear_map: LinearMap | StoredMap) -> bytes:
    """The file of the graph.

    Raises:
        MapError: as ``layer_of``; onnx is not installed, or the graph is too large for a file.
    """
    try:
        import onnx
    except ImportError as error:
        raise MapError(
            'a graph is written with onnx, which is not installed: pip install "latentmap[onnx]"'
        ) from error

    layer = layer_of(linear_map, "onnx")
    if layer.weight.nbytes > _MOST:
        raise MapError(
            f"a graph holds {_MOST:,} bytes at most, and this map has {layer.weight.nbytes:,}: "
            "export it as torch"
        )
    graph = _of_patches(onnx.helper, layer) if layer.size else _of_rows(onnx.helper, layer)
    model = onnx.helper.make_model(
        graph,
        opset_imports=[onnx.helper.make_opsetid("", _OPERATORS)],
        ir_version=_FORMAT,
        producer_name="latentmap",
    )
    onnx.helper.set_model_props(model, {"about": json.dumps(about(linear_map))})
    onnx.checker.check_model(model)
    found: bytes = model.SerializeToString()
    return found


def _of_rows(helper: Any, layer: Layer) -> Any:
    """Flat codes: a matrix, between codes of their shapes."""
    arrays = {"weight": layer.weight, "bias": layer.bias}
    steps: list[tuple[str, list[str], dict[str, Any]]] = []
    if len(layer.source) > 1:
        steps.append(("Flatten", [], {"axis": 1}))
    steps.append(("Gemm", ["weight", "bias"], {"transB": 1}))
    if len(layer.target) > 1:
        arrays["shape"] = np.array([-1, *layer.target], np.int64)
        steps.append(("Reshape", ["shape"], {}))
    return _graph(helper, steps, arrays, [("n", *layer.source), ("n", *layer.target)])


def _of_patches(helper: Any, layer: Layer) -> Any:
    """A convolution of cells, which are made of a finer grid and made into one."""
    weight, side, reach = layer.weight, layer.source_side, layer.size // 2
    steps: list[tuple[str, list[str], dict[str, Any]]] = []
    if side > 1:
        # This operator has the place in a cell before the channel, and a map the channel first.
        parts = weight.reshape(len(weight), -1, side * side, *weight.shape[2:])
        weight = np.ascontiguousarray(parts.swapaxes(1, 2)).reshape(weight.shape)
        steps.append(("SpaceToDepth", [], {"blocksize": side}))
    arrays = {"weight": weight, "bias": layer.bias}
    if reach:
        arrays["border"] = np.array([0, 0, reach, reach] * 2, np.int64)
        steps.append(("Pad", ["border"], {"mode": "edge"}))
    steps.append(("Conv", ["weight", "bias"], {}))
    if layer.target_side > 1:
        steps.append(("DepthToSpace", [], {"blocksize": layer.target_side, "mode": "CRD"}))
    same = layer.source[1:] == layer.target[1:]
    sides = ("height", "width") if same else ("mapped height", "mapped width")
    ends = [("n", layer.source[0], "height", "width"), ("n", layer.target[0], *sides)]
    return _graph(helper, steps, arrays, ends)


def _graph(
    helper: Any,
    steps: Sequence[tuple[str, list[str], dict[str, Any]]],
    arrays: dict[str, np.ndarray],
    ends: Sequence[Sequence[int | str]],
) -> Any:
    """Operators one after the other, each with its further inputs and its attributes."""
    from onnx import TensorProto, numpy_helper

    names = ["codes", *(f"step {i}" for i in range(1, len(steps))), "mapped"]
    nodes = [
        helper.make_node(operator, [names[i], *others], [names[i + 1]], **attributes)
        for i, (operator, others, attributes) in enumerate(steps)
    ]
    given, made = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))
        for name, shape in zip(("codes", "mapped"), ends, strict=True)
    )
    constants = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    return helper.make_graph(nodes, "map", [given], [made], constants)
