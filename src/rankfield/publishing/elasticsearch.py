"""Elasticsearch: a folder of sentence-transformers that eland takes, and what to tell it.

eland loads the folder with sentence-transformers and traces it; Elasticsearch tokenizes by itself,
so only its own tokenizers will do. https://www.elastic.co/docs/reference/elasticsearch/clients/eland
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rankfield.encoders import ComposedEncoder, RankingModel, SentenceTransformersTower
from rankfield.errors import ModelError
from rankfield.files import read_json_object, write_json
from rankfield.publishing.fields_file import fuses, modalities, prefix
from rankfield.publishing.options import PublishOptions
from rankfield.publishing.sentence_transformers import LAYOUT as SENTENCE_TRANSFORMERS

__all__ = ["LAYOUT"]

_SETTINGS = "elasticsearch.json"
_TOKENIZERS = frozenset(
    [
        *("Bert", "BertJapanese", "MPNet", "DPRContextEncoder", "DPRQuestionEncoder"),
        *("DistilBert", "Electra", "MobileBert", "RetriBert", "Roberta", "Bart", "SqueezeBert"),
        *("XLMRoberta", "DebertaV2"),
    ]
)
"""Before "Tokenizer" or "TokenizerFast": the classes that eland 9 takes."""


def _class_name(tokenizer: object) -> str:
    return type(tokenizer).__name__.removesuffix("Fast").removesuffix("Tokenizer")


def _write(model: RankingModel, folder: Path, options: PublishOptions) -> None:
    SENTENCE_TRANSFORMERS.write(model, folder, options)
    dimension = model.encoder.dimension if fuses(model) else model.dimension
    settings = {
        "task_type": "text_embedding",
        "ingest_prefix": prefix(model, "document"),
        "search_prefix": prefix(model, "query"),
        "mapping": {"type": "dense_vector", "dims": dimension, "similarity": "dot_product"},
    }
    write_json(folder / _SETTINGS, settings)


def _check(folder: Path) -> None:
    """Hold the folder to what eland takes.

    Raises:
        ModelError: another tokenizer, or settings that are missing.
    """
    config = read_json_object(folder / "tokenizer_config.json")
    name = str(config.get("tokenizer_class", "")).removesuffix("Fast").removesuffix("Tokenizer")
    settings = read_json_object(folder / _SETTINGS)
    problem = ""
    if name not in _TOKENIZERS:
        problem = f"has the tokenizer {config.get('tokenizer_class')!r}, which eland does not take"
    elif not {"task_type", "ingest_prefix", "search_prefix", "mapping"} <= settings.keys():
        problem = f"has an incomplete {_SETTINGS}"
    elif not (folder / "modules.json").is_file():
        problem = "is no folder of sentence-transformers"
    if problem:
        raise ModelError(problem, where="--as elasticsearch")


def _refuses(model: RankingModel) -> str | None:
    text = model.encoder.text if isinstance(model.encoder, ComposedEncoder) else None
    if text is None or "image" in modalities(model):
        return "eland takes text models alone, no CLIP; choose --as vectors"
    tower = text.model if isinstance(text, SentenceTransformersTower) else text
    name = _class_name(tower.tokenizer)
    if name not in _TOKENIZERS:
        return (
            f"its tokenizer is a {type(tower.tokenizer).__name__}; Elasticsearch has those of "
            "BERT, RoBERTa, MPNet, XLM-R, DeBERTa-v2 and their kin; choose --as vectors"
        )
    return SENTENCE_TRANSFORMERS.refuses(model)


LAYOUT = replace(
    SENTENCE_TRANSFORMERS,
    name="elasticsearch",
    title="Elasticsearch (by eland)",
    write=_write,
    check=_check,
    refuses=_refuses,
    sequences=None,
    usage="""```bash
eland_import_hub_model --url "$ELASTICSEARCH" --hub-model-id FOLDER \\
  --task-type text_embedding --start \\
  --ingest-prefix "$(jq -r .ingest_prefix FOLDER/elasticsearch.json)" \\
  --search-prefix "$(jq -r .search_prefix FOLDER/elasticsearch.json)"
```

Leave out a prefix that is empty. `mapping` in `elasticsearch.json` is that of the field that holds
the vectors. Of several text fields of a document the vector is added up as the section on fields
says. Elasticsearch itself was not started: the folder was loaded by sentence-transformers, as eland
loads it, and its tokenizer is one that Elasticsearch has.
""",
)
