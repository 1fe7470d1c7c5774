"""Compiles Triton's kernels for two GPUs, which needs none: `kernel_compile.py FILE`.

FILE gets, for each kernel, the bytes of its stack: registers that did not fit go there.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from rankfield.losses import tile_kernels

ARCHITECTURES = (80, 90)
SIDES = ("row_sums", "column_sums", "sums")
WHOLE = ("rows", "columns", "number", "length")


def stack(kernel: Any, architecture: int, path: Path, **constants: bool) -> int:
    """Return the bytes of a kernel's stack."""
    types = {name: "*fp64" if name in SIDES else "*fp32" for name in kernel.arg_names}
    types |= {name: "i32" for name in kernel.arg_names if name in WHOLE}
    types |= dict.fromkeys(constants, "constexpr") | {"out": "*bf16"}
    source = ASTSource(
        fn=kernel,
        signature={name: types[name] for name in kernel.arg_names},
        constexprs={(kernel.arg_names.index(name),): value for name, value in constants.items()},
    )
    warps = {"num_warps": 4 if "parts" in types else 8}
    made = triton.compile(source, target=GPUTarget("cuda", architecture, 32), options=warps)
    path.write_bytes(made.asm["cubin"])
    (tool,) = Path(triton.__file__).parent.glob("backends/nvidia/bin/cuobjdump")
    said = subprocess.run(
        [tool, "--dump-resource-usage", path], check=True, capture_output=True, text=True
    )
    found = re.search(r"STACK:(\d+)", said.stdout)
    assert found is not None, said.stdout
    return int(found[1])


def main(path: Path) -> None:
    """Write the stacks of all kernels."""
    found = {}
    for softmax in (True, False):
        both = {"softmax": softmax, "by_row": True, "by_column": True}
        for architecture in ARCHITECTURES:
            for kernel, constants in (
                (tile_kernels._sums, both),
                (tile_kernels._gradient, both),
                (tile_kernels._fold, {"softmax": softmax}),
            ):
                name = f"{kernel.fn.__name__}, {architecture}, softmax {softmax}"
                found[name] = stack(kernel, architecture, path.with_suffix(".cubin"), **constants)
    path.write_text(json.dumps(found), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
