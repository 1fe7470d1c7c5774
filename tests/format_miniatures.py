"""A small source in every layout, written by hand as its own documentation shows it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

__all__ = ["MINIATURES", "Miniature", "write_files"]

Miniature = Callable[[Path], Path]
"""Writes the files into a new folder and returns what an import takes as its source."""


def write_files(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    return folder


TABLES = {
    "queries.csv": "query_id,query\nq1,red mug\nq2,oak desk\n",
    "documents.csv": 'doc_id,title,details\nd1,Red mug,"clay, red"\n'
    "d2,Blue mug,\nd3,Oak desk,wood\n",
    "judgments.csv": "query_id,doc_id,score\nq1,d1,3\nq1,d2,0.5\nq2,d3,3\nq2,d1,0\n",
}

TREC = {
    "qrels.txt": "q1 0 d1 3\nq1 0 d2 1\nq2\t0  d3 2\nq2 0 d1 -2\n",
    "topics.txt": """<top>
<num> Number: q1
<title> red mug
<desc> Description:
Mugs that are red,
whatever their size.
<narr> Narrative:
A red cup &amp; saucer counts.
</top>

<top>
<num> Number: q2
<title> oak desk
</top>
""",
    "docs.trec": """<DOC>
<DOCNO> d1 </DOCNO>
<TITLE>Red mug</TITLE>
<TEXT>
<P>Clay, red.</P>
<P>300 ml</P>
</TEXT>
</DOC>
<DOC>
<DOCNO>d2</DOCNO>
<TEXT>A blue mug</TEXT>
</DOC>
<DOC>
<DOCNO>d3</DOCNO>
<HEADLINE>Oak desk</HEADLINE>
<TEXT>Wood</TEXT>
</DOC>
""",
}

TREC_TSV = {
    "qrels.tsv": TREC["qrels.txt"],
    "queries.tsv": 'q1\tred "mug"\nq2\toak desk\n',
    "collection.tsv": 'd1\tRed mug of "clay\nd2\tBlue mug\nd3\tOak desk\n',
}

TREC_XML = {
    "qrels.txt": "1 4.5 d1 2\n1 0.5 d2 0\n2 1 d3 1\n",
    "topics-rnd5.xml": """<?xml version="1.0" encoding="UTF-8"?>
<topics task="COVIDSearch" batch="5">
  <!-- <topic number="0"> is left out -->
  <topic number="1">
    <query>red mug</query>
    <question>which mugs are <b>red</b> &amp; of clay?</question>
    <narrative>A red cup &
      saucer counts.</narrative>
  </topic>
  <topic number="2" type="nav"><query><![CDATA[oak <solid> desk]]></query></topic>
</topics>
""",
    "documents.jsonl": """{"doc_id": "d1", "title": "Red mug"}
{"doc_id": "d2", "title": "Blue mug"}
{"doc_id": "d3", "title": "Oak desk"}
""",
}

BEIR = {
    "corpus.jsonl": """{"_id": "d1", "title": "Red mug", "text": "Clay, red.", "metadata": {}}
{"_id": "d2", "title": "", "text": "A blue mug", "metadata": {"url": "https://x.org/2"}}
{"_id": "d3", "title": "Oak desk", "text": "Wood", "metadata": {}}
""",
    "queries.jsonl": """{"_id": "q1", "text": "red mug"}
{"_id": "q2", "text": "oak desk"}
{"_id": "q3", "text": "mug"}
{"_id": "q4", "text": "never judged"}
""",
    "qrels/train.tsv": "query-id\tcorpus-id\tscore\nq3\td1\t1\nq3\td2\t1\n",
    "qrels/dev.tsv": "query-id\tcorpus-id\tscore\nq2\td3\t2\n",
    "qrels/test.tsv": "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t0.5\n",
}

WANDS = {
    "query.csv": "query_id\tquery\tquery_class\n0\tred mug\tMugs\n1\toak desk\tDesks\n",
    "product.csv": """product_id\tproduct_name\tproduct_class\tcategory hierarchy\
\tproduct_description\tproduct_features\trating_count\taverage_rating\treview_count
0\tred mug\tMugs\tKitchen / Mugs\t"a ""big"" mug, red"\tcolor:red|material:clay\t15.0\t4.5\t15.0
1\tblue mug\tMugs\tKitchen / Mugs\t\tcolor:blue\t\t\t
2\toak desk\tDesks\tOffice / Desks\tsolid wood\tmaterial:oak\t2.0\t4.0\t1.0
""",
    "label.csv": "id\tquery_id\tproduct_id\tlabel\n0\t0\t0\tExact\n1\t0\t1\tPartial\n"
    "2\t1\t2\tExact\n3\t1\t0\tIrrelevant\n",
}

PRODUCTS = """{"_index": "shop", "_id": "d1", "_source": {"title": "Red mug", "price": 5.5}}
{"_index": "shop", "_id": "d2", "_source": {"title": "Blue mug", "price": 6, "tags": {"a": 1}}}
{"_index": "shop", "_id": "d3", "_source": {"title": "Oak desk"}}
"""

RANK_EVAL = {
    "rank_eval.json": """{
  "requests": [
    {
      "id": "mugs",
      "request": {"query": {"match": {"title": "red mug"}}},
      "ratings": [
        {"_index": "shop", "_id": "d1", "rating": 3},
        {"_index": "shop", "_id": "d2", "rating": 1}
      ]
    },
    {
      "id": "desks",
      "template_id": "match_one_field_query",
      "params": {"query_string": "oak desk"},
      "ratings": [{"_index": "shop", "_id": "d3", "rating": 2}]
    }
  ],
  "metric": {"precision": {"k": 10, "relevant_rating_threshold": 1}}
}
""",
    "products.jsonl": PRODUCTS,
}

OPENSEARCH = {
    "judgments.json": """{
  "name": "Imported Judgments",
  "type": "IMPORT_JUDGMENT",
  "judgmentRatings": [
    {"query": "red mug", "ratings": [
      {"docId": "d1", "rating": "3.000"},
      {"docId": "d2", "rating": 0.25}
    ]},
    {"query": "oak desk", "ratings": [{"docId": "d3", "rating": "2"}]}
  ]
}
""",
    "products.jsonl": PRODUCTS,
}

LTR = {
    "judgments.txt": """# grade (0-4)	queryid	docId	title
#
# qid:1: red mug
# qid:2: oak desk*1
#
4	qid:1 #	d1	Red mug
1 qid:1 # d2 Blue mug
3.5	qid:2	1:0.5 2:1e-3 # d3 Oak desk
""",
}


QUEPID = {
    "ratings.csv": """query,docid,rating
red mug,d1,3
red mug,d2,1
"oak desk",d3,2
oak desk,d1,
""",
    "products.jsonl": PRODUCTS,
}


def _folder(files: dict[str, str], source: str = "") -> Miniature:
    return lambda folder: write_files(folder, files) / source


MINIATURES: dict[str, tuple[str, Miniature, dict[str, str]]] = {
    "tables": ("tables", _folder(TABLES), {}),
    "trec": ("trec", _folder(TREC), {}),
    "trec-tsv": ("trec", _folder(TREC_TSV), {}),
    "trec-xml": ("trec", _folder(TREC_XML), {}),
    "beir": ("beir", _folder(BEIR), {}),
    "wands": ("wands", _folder(WANDS), {}),
    "rank-eval": (
        "elasticsearch",
        _folder(RANK_EVAL, "rank_eval.json"),
        {"documents": "products.jsonl"},
    ),
    "opensearch": (
        "elasticsearch",
        _folder(OPENSEARCH, "judgments.json"),
        {"documents": "products.jsonl"},
    ),
    "quepid": ("quepid", _folder(QUEPID, "ratings.csv"), {"documents": "products.jsonl"}),
    "ltr": ("elasticsearch", _folder(LTR, "judgments.txt"), {}),
}
"""Name → layout, what writes it, and options of its reader that name a file in the folder."""
