"""From a module of torch to an ONNX file with named inputs of any batch size and length."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rankfield.encoders.base import Encoder, Side
from rankfield.encoders.modes import evaluating
from rankfield.errors import ModelError
from rankfield.extras import needs_extra
from rankfield.messages import first_line
from rankfield.publishing.quiet import quiet_export

__all__ = ["OPSET", "GraphInput", "export_graph", "token_inputs"]

OPSET = 20
"""Of the graphs: the first that has GELU as one operator, which runtimes fuse."""
_EXAMPLES = ("a", "a" + " a" * 5)
_ENDLESS = "a" + " a" * 5000


@dataclass(frozen=True)
class GraphInput:
    """One input of a graph.

    name: of the input.
    example: a tensor that the graph is traced with; its free axes are longer than 1.
    axes: axis → the name of its length, which may change from call to call.
    limits: name of a length → its largest value, where the module has one.
    """

    name: str
    example: Tensor
    axes: Mapping[int, str]
    limits: Mapping[str, int]


def token_inputs(encoder: Encoder, side: Side = "document") -> list[GraphInput]:
    """Return the token tensors that an encoder takes.

    Their length is free, up to the encoder's, or fixed where it always pads to full length.
    """
    tokens = encoder.tokenize(_EXAMPLES, side)
    length = next(iter(tokens.values())).shape[1]
    longest = next(iter(encoder.tokenize([_ENDLESS], side).values())).shape[1]
    axes = {0: "batch"} if longest == length else {0: "batch", 1: "sequence"}
    limits = {"sequence": longest}
    return [GraphInput(name, tensor, axes, limits) for name, tensor in tokens.items()]


@torch.no_grad()
def export_graph(
    module: nn.Module, inputs: Sequence[GraphInput], outputs: Sequence[str], path: Path
) -> None:
    """Write a module as an ONNX file of opset `OPSET`; weights above 2 GB go into a file beside it.

    Args:
        module: takes the inputs in this order, and gives the outputs in theirs.
        inputs: with examples.
        outputs: their names.
        path: of the file.

    Raises:
        MissingExtraError: onnx or onnxscript is not installed.
        ModelError: the module has no form in ONNX.
    """
    with needs_extra("onnx", "onnxscript is not installed"):
        import onnxscript  # noqa: F401
    dims: dict[str, Any] = {}
    shapes = []
    for one in inputs:
        for name in one.axes.values():
            dims.setdefault(name, torch.export.Dim(name, max=one.limits.get(name)))
        shapes.append({axis: dims[name] for axis, name in one.axes.items()})
    with evaluating(module), _plain_attention(module), quiet_export():
        try:
            program = torch.onnx.export(
                _Positional(module),
                tuple(one.example for one in inputs),
                dynamo=True,
                opset_version=OPSET,
                dynamic_shapes=(tuple(shapes),),
                input_names=[one.name for one in inputs],
                output_names=list(outputs),
                verbose=False,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            raise ModelError(
                f"torch cannot export it ({first_line(error.__cause__ or error)})",
                where=path.name,
                remedy="Choose another layout, or report the model's kind.",
            ) from error
    assert program is not None
    program.save(path)


class _Positional(nn.Module):
    """A module whose inputs come by position, however many it has."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *inputs: Tensor) -> Any:
        return self.module(*inputs)


@contextmanager
def _plain_attention(module: nn.Module) -> Iterator[None]:
    """Let models of transformers multiply and normalise attention step by step for a while.

    The graph of torch's fused attention guards each softmax against rows without any token; that
    costs time, and runtimes do not know it for attention.
    """
    from transformers import PreTrainedModel

    models = [one for one in module.modules() if isinstance(one, PreTrainedModel)]
    usual = [one.config._attn_implementation for one in models]
    try:
        for one in models:
            one.set_attn_implementation("eager")
        yield
    finally:
        for one, name in zip(models, usual, strict=True):
            one.set_attn_implementation(name)
