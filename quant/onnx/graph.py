"""A small builder of onnx graphs: nodes by operator name, initializers from the weight file.

Knows the onnx protobufs; nothing of transformers.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from quant.onnx.store import StoredTensor

MICROSOFT = "com.microsoft"
_OPSETS = (("", 21), (MICROSOFT, 1))
_IR_VERSION = 10
Dims = Sequence[int | str]
_TYPES = {
    "float32": onnx.TensorProto.FLOAT,
    "int64": onnx.TensorProto.INT64,
    "int32": onnx.TensorProto.INT32,
}
Attribute = int | float | str | Sequence[int]


class GraphBuilder:
    """Collects one graph. Every method that makes a node returns the name of its output."""

    def __init__(self, name: str, location: str) -> None:
        self._name = name
        self._location = location
        self._nodes: list[onnx.NodeProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._initializers: dict[str, onnx.TensorProto] = {}

    def input(self, name: str, dtype: str, dims: Dims) -> str:
        """An input of the graph; returns its name."""
        self._inputs.append(helper.make_tensor_value_info(name, _TYPES[dtype], list(dims)))
        return name

    def output(self, name: str, dtype: str, dims: Dims) -> None:
        """Make the value `name` an output of the graph."""
        self._outputs.append(helper.make_tensor_value_info(name, _TYPES[dtype], list(dims)))

    def weight(self, name: str, stored: StoredTensor) -> str:
        """An initializer in the weight file; the same name twice is the same tensor."""
        if name not in self._initializers:
            self._initializers[name] = stored.initializer(name, self._location)
        return name

    def constant(self, name: str, values: npt.ArrayLike) -> str:
        """A small initializer inside the graph itself (int64 or float32 array)."""
        if name not in self._initializers:
            self._initializers[name] = numpy_helper.from_array(np.asarray(values), name)
        return name

    def integers(self, *values: int) -> str:
        """An int64 vector constant named after its values."""
        return self.constant("i64_" + "_".join(map(str, values)), np.array(values, np.int64))

    def node(
        self, op: str, inputs: Sequence[str], outputs: str | Sequence[str], **attributes: Attribute
    ) -> str:
        """Append a node of the standard domain; returns its first output."""
        return self._append("", op, inputs, outputs, attributes)

    def microsoft(
        self, op: str, inputs: Sequence[str], outputs: str | Sequence[str], **attributes: Attribute
    ) -> str:
        """Append a contrib operator, of onnxruntime's own domain; returns its first output."""
        return self._append(MICROSOFT, op, inputs, outputs, attributes)

    def _append(
        self,
        domain: str,
        op: str,
        inputs: Sequence[str],
        outputs: str | Sequence[str],
        attributes: Mapping[str, Attribute],
    ) -> str:
        names = [outputs] if isinstance(outputs, str) else list(outputs)
        name = next(output for output in names if output)
        node = helper.make_node(op, list(inputs), names, name=name, domain=domain, **attributes)
        self._nodes.append(node)
        return names[0]

    def save(self, path: Path) -> None:
        """Write the graph; external data stays where it is."""
        graph = helper.make_graph(
            self._nodes,
            self._name,
            self._inputs,
            self._outputs,
            list(self._initializers.values()),
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid(domain, version) for domain, version in _OPSETS],
            producer_name="stillroom",
            ir_version=_IR_VERSION,
        )
        path.write_bytes(model.SerializeToString())
