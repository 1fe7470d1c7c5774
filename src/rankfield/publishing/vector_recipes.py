"""How to load `vectors.parquet` into vector engines, with the right dimension and distance."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["vector_recipes"]

_SQL = {
    "text": "text",
    "integer": "bigint",
    "float": "double precision",
    "boolean": "boolean",
    "time": "timestamp",
    "list": "text[]",
}
"""Kind of a column → its type in PostgreSQL; a list of numbers is stored as text."""


def vector_recipes(dimension: int, columns: Mapping[str, str]) -> str:
    """Return Markdown with a short program for each engine.

    Args:
        dimension: of the vectors.
        columns: column to filter by → "text", "integer", "float", "boolean", "time" or "list".
    """
    names = ", ".join(f"`{name}`" for name in columns) or "none"
    return (
        "\n\n".join(
            [
                "# Loading the vectors",
                f"`vectors.parquet`: `doc_id`, `vector` ({dimension} × float32, length 1). Columns "
                f"to filter by: {names}. As all vectors have length 1, cosine, inner product and "
                "Euclidean distance give the same order. The same model must embed queries.",
                "## Qdrant",
                _python(_QDRANT, dimension),
                "Qdrant's ids are numbers or UUIDs; the document's own id is in the payload.",
                "## PostgreSQL with pgvector",
                f"```sql\n{_tables(dimension, columns)}\n```",
                _python(_PGVECTOR, dimension),
                "## Milvus",
                _python(_MILVUS, dimension),
            ]
        )
        + "\n"
    )


def _python(text: str, dimension: int) -> str:
    return f"```python\n{text.replace('DIMENSION', str(dimension)).strip()}\n```"


def _tables(dimension: int, columns: Mapping[str, str]) -> str:
    lines = ['  "doc_id" text PRIMARY KEY', f'  "vector" vector({dimension}) NOT NULL']
    lines += [f'  "{name.replace(chr(34), chr(34) * 2)}" {_SQL[k]}' for name, k in columns.items()]
    body = ",\n".join(lines)
    # its HNSW indexes at most 2,000 dimensions of type vector, 4,000 of halfvec
    index = 'USING hnsw ("vector" vector_cosine_ops)'
    if dimension > 2000:
        index = f'USING hnsw (("vector"::halfvec({dimension})) halfvec_cosine_ops)'
    return (
        "CREATE EXTENSION IF NOT EXISTS vector;\n"
        f"CREATE TABLE documents (\n{body}\n);\n"
        "-- after loading:\n"
        f"CREATE INDEX ON documents {index};\n"
        "-- the ten nearest to a query's vector:\n"
        'SELECT "doc_id" FROM documents ORDER BY "vector" <=> $1 LIMIT 10;'
    )


_QDRANT = """
import pyarrow.parquet as pq
from qdrant_client import QdrantClient, models

client = QdrantClient("http://localhost:6333")
client.create_collection(
    "documents",
    vectors_config=models.VectorParams(size=DIMENSION, distance=models.Distance.COSINE),
)
first = 0
for part in pq.ParquetFile("vectors.parquet").iter_batches(1000):
    rows = part.to_pylist()
    points = [
        models.PointStruct(id=first + n, vector=row.pop("vector"), payload=row)
        for n, row in enumerate(rows)
    ]
    client.upsert("documents", points)
    first += len(points)
"""
_PGVECTOR = """
import psycopg
import pyarrow.parquet as pq
from pgvector.psycopg import register_vector

with psycopg.connect("dbname=shop", autocommit=True) as connection:
    register_vector(connection)
    file = pq.ParquetFile("vectors.parquet")
    names = ", ".join('"' + name.replace('"', '""') + '"' for name in file.schema_arrow.names)
    with connection.cursor().copy(f"COPY documents ({names}) FROM STDIN") as copy:
        for part in file.iter_batches(1000):
            for row in part.to_pylist():
                row["vector"] = str(row["vector"])
                copy.write_row(list(row.values()))
"""
_MILVUS = """
import pyarrow.parquet as pq
from pymilvus import DataType, MilvusClient

client = MilvusClient("http://localhost:19530")
schema = client.create_schema(enable_dynamic_field=True)
schema.add_field("doc_id", DataType.VARCHAR, is_primary=True, max_length=512)
schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIMENSION)
index = client.prepare_index_params()
index.add_index("vector", index_type="AUTOINDEX", metric_type="COSINE")
client.create_collection("documents", schema=schema, index_params=index)
for part in pq.ParquetFile("vectors.parquet").iter_batches(1000):
    client.insert("documents", part.to_pylist())
"""
