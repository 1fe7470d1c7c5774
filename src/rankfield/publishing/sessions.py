"""Graphs in the runtimes that they are published for, on the CPU."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rankfield.errors import ModelError
from rankfield.extras import needs_extra

__all__ = ["OnnxSession", "OpenVinoSession", "Session", "open_session"]


class Session(Protocol):
    """A graph that is ready to run."""

    names: frozenset[str]
    """Of the inputs."""

    def run(self, inputs: Mapping[str, NDArray[Any]], output: str) -> NDArray[np.float32]:
        """Return one output of the graph."""


class OnnxSession:
    """A graph in ONNX Runtime.

    Args:
        path: of the `.onnx` file.
        threads: how many; by default one for each core.

    Raises:
        MissingExtraError: onnxruntime is not installed.
        ModelError: it cannot be read.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        with needs_extra("onnx", "onnxruntime is not installed"):
            import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                path, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its errors have no common class
            raise _unreadable(path, error) from error
        self.names = frozenset(one.name for one in self._session.get_inputs())

    def run(self, inputs: Mapping[str, NDArray[Any]], output: str) -> NDArray[np.float32]:
        """Return one output of the graph."""
        found: NDArray[np.float32] = self._session.run([output], dict(inputs))[0]
        return found


class OpenVinoSession:
    """A graph in OpenVINO, in float32 where the file does not say int8.

    Arguments and errors are those of `OnnxSession`; `path` is that of the `.xml` file.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        with needs_extra("openvino", "openvino is not installed"):
            import openvino
        # some processors would else compute in bfloat16, beyond the tolerance of a proof
        settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32"}
        if threads is not None:
            settings["INFERENCE_NUM_THREADS"] = threads
        try:
            self._model = openvino.Core().compile_model(path, "CPU", settings)
        except Exception as error:  # its errors have no common class
            raise _unreadable(path, error) from error
        self.names = frozenset(one.any_name for one in self._model.inputs)

    def run(self, inputs: Mapping[str, NDArray[Any]], output: str) -> NDArray[np.float32]:
        """Return one output of the graph."""
        return np.array(self._model(dict(inputs))[output])


def open_session(path: Path, threads: int | None = None) -> Session:
    """Return a graph in the runtime that its file is for.

    Raises:
        MissingExtraError: the runtime is not installed.
        ModelError: it cannot be read.
    """
    return (OnnxSession if path.suffix == ".onnx" else OpenVinoSession)(path, threads)


def _unreadable(path: Path, error: Exception) -> ModelError:
    return ModelError(
        f"cannot be read ({error})", where=str(path), remedy="Publish the model again."
    )
