"""The real data sets beside the checkout go in, pass the audit and divide."""

from __future__ import annotations

from pathlib import Path

import pytest

from rankfield.curation.leaks import leak_report
from rankfield.curation.splits import split, split_sizes
from rankfield.formats import import_tables
from rankfield.validate import audit

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "queries", "documents", "judgments", "without_relevant"),
    [
        ("luma", 737, 417, 50_650, 0),
        ("grocery", 81, 5_421, 149_187, 0),
        ("icecat", 135, 19_406, 3_668, 19),
    ],
)
def test_import_check_split(
    tmp_path: Path,
    *,
    name: str,
    queries: int,
    documents: int,
    judgments: int,
    without_relevant: int,
) -> None:
    """Sizes and the 19 queries without a relevant document are those its README states."""
    if not (DATA / name).is_dir():
        pytest.skip("the real data sets are not here")
    data, _ = import_tables(DATA / name, tmp_path / name)
    sizes = (data.queries.height, data.documents.height, data.judgments.height)
    assert sizes == (queries, documents, judgments)
    problems = audit(data)
    assert not [p for p in problems if p.severity == "error"]
    kind = "query without a relevant document"
    assert len([p for p in problems if p.kind == kind]) == without_relevant
    group = "style_id" if name == "luma" else None
    done = split(data, group_documents_by=group)
    assert split_sizes(done)["queries"].min() >= 8  # type: ignore[operator]
    leaks = {(leak.table, leak.kind): leak.count for leak in leak_report(done).leaks}
    assert leaks["documents", "same id"] == leaks["queries", "same id"] == 0
    assert leaks["queries", "same text"] == leaks["queries", "same words in the text"] == 0
    if name == "luma":
        assert leaks["documents", "same title"] == leaks["documents", "identical image"] == 0
