"""What the compressed buffers of an Arrow stream hold, found before they are decoded.

A message of the stream is a flatbuffer, of which `pyarrow` tells nothing but its bytes. Source: the
Arrow columnar format, Message.fbs: Message(version, header_type, header, body_length);
RecordBatch(length, nodes, buffers, compression); DictionaryBatch(id, data); each compressed buffer
begins with its decoded size as int64, −1 if it is stored as it is.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

from rankfield.errors import DataError
from rankfield.expansion import require_expansion

__all__ = ["require_bounded_stream"]

_DICTIONARY, _RECORDS = 2, 3
_BUFFER = struct.Struct("<qq")


def require_bounded_stream(path: Path) -> None:
    """Look whether an Arrow stream may be read: few bytes can hold gigabytes.

    Raises:
        DataError: it holds more than `allowed_bytes`, or a message is broken.
        ArrowException, OSError: it is no Arrow stream.
    """
    import pyarrow as pa

    size, total = path.stat().st_size, 0
    with pa.memory_map(str(path)) as source:
        for message in pa.ipc.MessageReader.open_stream(source):
            if message.body is None:
                continue
            try:
                total += _decoded(memoryview(message.metadata), memoryview(message.body))
            except (struct.error, IndexError, ValueError):
                raise DataError(
                    "cannot be read, a message of the stream is broken",
                    where=str(path),
                    remedy="Fetch or write the file again.",
                ) from None
            require_expansion(path, total, size)


def _decoded(metadata: memoryview[Any], body: memoryview[Any]) -> int:
    """Return the bytes that a message's buffers have once they are decoded."""
    message = struct.unpack_from("<I", metadata)[0]
    place = _field(metadata, message, 1)
    kind = metadata[place] if place else 0
    batch = _table(metadata, message, 2)
    if batch and kind == _DICTIONARY:
        batch = _table(metadata, batch, 1)
    if not batch or kind not in (_DICTIONARY, _RECORDS):
        return len(body)
    buffers = _table(metadata, batch, 2)
    if not buffers or not _field(metadata, batch, 3):
        return len(body)
    (count,) = struct.unpack_from("<I", metadata, buffers)
    total = 0
    for number in range(count):
        offset, length = _BUFFER.unpack_from(metadata, buffers + 4 + number * _BUFFER.size)
        if length:
            (decoded,) = struct.unpack_from("<q", body, offset)
            total += length if decoded == -1 else decoded
            if decoded < -1:
                raise ValueError
    return total


def _field(data: memoryview[Any], table: int, number: int) -> int:
    """Return where a field of a table stands, 0 if it is left out."""
    vtable = table - struct.unpack_from("<i", data, table)[0]
    (size,) = struct.unpack_from("<H", data, vtable)
    at = 4 + 2 * number
    found = struct.unpack_from("<H", data, vtable + at)[0] if at + 2 <= size else 0
    return table + found if found else 0


def _table(data: memoryview[Any], table: int, number: int) -> int:
    """Return where the table or vector starts that a field leads to, 0 if it is left out."""
    place = _field(data, table, number)
    return place + struct.unpack_from("<I", data, place)[0] if place else 0
