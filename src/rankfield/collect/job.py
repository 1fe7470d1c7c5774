"""The job: one TOML file that says what is collected from where."""

from __future__ import annotations

from collections.abc import Collection
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

from pydantic import Field, field_validator, model_validator

from rankfield.collect.leave import require_leave
from rankfield.collect.mapping import Mapping
from rankfield.collect.presets import PRESETS
from rankfield.errors import InputError
from rankfield.settings import Settings, check_settings, read_toml
from rankfield.web import Limits
from rankfield.web.addresses import web_address
from rankfield.web.chat import ChatEndpoint

__all__ = [
    "EXAMPLES",
    "ImagesSection",
    "Job",
    "QueriesSection",
    "SearchSection",
    "example_job",
    "load_job",
]

EXAMPLES = ("elasticsearch", "serpapi", "json")
"""The kinds of search API that `example_job` has a job for."""

_KEYS = (
    *("authorization", "proxy-authorization", "cookie", "password", "secret", "token", "key"),
    *("x-api-key", "api-key", "api_key", "apikey", "x-rapidapi-key", "ocp-apim-subscription-key"),
    *("access_token", "auth_token", "x-auth-token", "x-access-token", "x-subscription-token"),
)
"""Headers and parameters that a job must not hold: it is copied into the output."""


class QueriesSection(Settings):
    """Where the queries come from."""

    source: Literal["file", "categories", "generate"] = Field(
        "file", description="a file of queries · made from a category tree · by a language model"
    )
    file: str = Field(
        min_length=1, description="the queries or categories; relative to the job's folder"
    )
    column: str = Field("query", description="column with the query, in a table")
    templates: list[str] = Field(
        ["{leaf}"], min_length=1, description="of categories: {leaf}, {parent}, {top}, {path}"
    )
    levels: Literal["leaves", "all"] = Field(
        "leaves", description="which categories become queries"
    )
    per_category: int = Field(10, ge=1, description="queries to ask a language model for")
    prompt: str = Field("", description="prompt file with {category} and {count}; empty: built in")
    endpoint: ChatEndpoint | None = Field(None, description="the language model")
    maximum: int | None = Field(None, ge=1, description="take the first so many queries")

    @model_validator(mode="after")
    def _fits(self) -> QueriesSection:
        if self.source == "generate" and self.endpoint is None:
            raise ValueError('source = "generate" needs [queries.endpoint] with url and model')
        for template in self.templates:
            if not any(f"{{{name}}}" in template for name in ("leaf", "parent", "top", "path")):
                raise ValueError(f"the template {template!r} names no {{leaf}}, {{parent}} …")
        return self


class SearchSection(Settings):
    """How the search API is asked, and what its answers mean.

    In `url`, `params` and `body`, {query} is the query, {start} how many results there are so far,
    {page} the page from 1, {size} how many are wanted.
    """

    kind: Literal["elasticsearch", "serpapi", "json"] = Field(
        description="elasticsearch (OpenSearch too) · serpapi: Google Shopping · json: any API"
    )
    url: str = Field(min_length=1, description="address of the server or of its search")
    index: str = Field("", description="of elasticsearch: the index that is searched")
    text_fields: list[str] = Field(
        ["*"], min_length=1, description="of elasticsearch: where the query's words are looked for"
    )
    method: Literal["GET", "POST"] = "GET"
    params: dict[str, str | int | float] = Field({}, description="after the ? of the address")
    headers: dict[str, str] = Field({}, description="further headers; no keys here")
    body: dict[str, Any] | None = Field(None, description="JSON of a POST")
    depth: int = Field(100, ge=1, description="results of a query")
    page_size: int = Field(
        0, ge=0, description="results of a full page; 0: pages until one is empty"
    )
    max_pages: int = Field(10, ge=1, description="pages of a query at most")
    key_env: str = Field("", description="environment variable that holds the key")
    key_header: str = Field("", description="header that carries the key")
    key_prefix: str = Field("", description='before the key, as "ApiKey " or "Bearer "')
    key_param: str = Field("", description="parameter that carries the key")
    mapping: Mapping = Field(description="a table, or the name of a TOML file with it")

    _address = field_validator("url")(web_address)

    @model_validator(mode="after")
    def _fits(self) -> SearchSection:
        in_url = dict(parse_qsl(urlsplit(self.url).query, keep_blank_values=True))
        for name in (*self.headers, *self.params, *in_url):
            if name.lower() in _KEYS:
                raise ValueError(
                    f"{name} holds a key: put it into an environment variable and name that,"
                    " key_env with key_header or key_param"
                )
        if self.kind == "elasticsearch" and not self.index:
            raise ValueError('kind = "elasticsearch" needs the name of an index')
        if self.key_env and not (self.key_header or self.key_param):
            raise ValueError("key_env needs key_header or key_param: how the key is sent")
        if "{query}" not in f"{self.url}{self.params}{self.body}":
            raise ValueError("no {query} in url, params or body: every query would be the same")
        return self


class ImagesSection(Settings):
    """Which images are kept."""

    download: bool = Field(True, description="false: a data set of text alone")
    types: list[Literal["jpeg", "png", "webp", "gif", "avif", "bmp", "tiff"]] = Field(
        ["jpeg", "png", "webp", "gif"], min_length=1, description="detected from the contents"
    )
    max_bytes: int = Field(10_000_000, ge=1, description="of one image")
    max_pixels: int = Field(40_000_000, ge=1, description="width · height")
    min_side: int = Field(16, ge=1, description="pixels; smaller images are placeholders")
    missing: Literal["keep", "drop"] = Field(
        "keep", description="documents whose image cannot be had: without it, or not at all"
    )


class Job(Settings):
    """What `collect` does."""

    name: str = Field("collected", min_length=1, description="of the data set")
    licence: str = Field("", description="of the data, for the record")
    queries: QueriesSection
    search: SearchSection
    images: ImagesSection = ImagesSection()
    limits: Limits = Limits()

    @model_validator(mode="after")
    def _columns(self) -> Job:
        """Refuse two columns of one name before anything is asked."""
        mapping = self.search.mapping
        images = [n for n, f in mapping.fields.items() if f.modality == "image"]
        addresses = [f"{name}_url" for name in images if self.images.download]
        names = ["doc_id", *mapping.fields, *mapping.columns, *addresses]
        for name in dict.fromkeys(names):
            if names.count(name) > 1:
                also = f"; {name} is the address of an image" if name in addresses else ""
                raise ValueError(f"search.mapping has two columns {name!r}{also}: rename one")
        return self


def load_job(
    path: str | Path,
    *,
    allow_env: Collection[str] = (),
    allow_files: Collection[str | Path] = (),
) -> Job:
    """Read a job. Relative paths start from its folder; the result holds them whole.

    A job may be somebody else's, and what it names goes to the servers that it names: it may read
    the files of its own folder, and what is allowed here.

    Args:
        path: the job.
        allow_env: environment variables that it may send as keys.
        allow_files: files outside its folder that it may read.

    Raises:
        InputError: no such file, not TOML, an unknown key, a value that does not fit, a mapping
            file that is none, a variable or file that is not allowed; says which file and key.
    """
    file = Path(path)
    remedy = "`rankfield collect --example json` prints a complete job."
    values = read_toml(file, remedy=remedy)
    for section, key in (("queries", "file"), ("queries", "prompt")):
        table = values.get(section)
        if isinstance(table, dict) and isinstance(table.get(key), str) and table[key]:
            table[key] = str((file.parent / table[key]).resolve())
    search = values.get("search")
    if isinstance(search, dict):
        if isinstance(search.get("mapping"), str):
            place = (file.parent / search["mapping"]).resolve()
            allowed = {Path(other).resolve() for other in allow_files}
            if not place.is_relative_to(file.parent.resolve()) and place not in allowed:
                raise InputError(
                    f"the job reads {place}, outside its folder",
                    where=f"{file}, search.mapping",
                    remedy=f"Read the job. If that is meant, add --allow-file {place}.",
                )
            mapping = read_toml(place)
            check_settings(mapping, Mapping, where=str(place))
            search["mapping"] = mapping
        values["search"] = _with_preset(search)
    job = check_settings(values, Job, where=str(file))
    require_leave(job, file, allow_env, allow_files)
    return job


def _with_preset(search: dict[str, Any]) -> dict[str, Any]:
    """Return the section over the defaults of its kind; tables are laid over each other by key."""
    preset = PRESETS.get(str(search.get("kind")), {})
    merged = preset | search
    for key in ("params", "mapping"):
        if isinstance(preset.get(key), dict) and isinstance(search.get(key), dict):
            merged[key] = preset[key] | search[key]
    return merged


def example_job(kind: str) -> str:
    """Return a complete job for a kind of search API, with comments.

    Raises:
        InputError: an unknown kind.
    """
    if kind not in EXAMPLES:
        raise InputError(
            f"unknown kind {kind!r}; expected {', '.join(EXAMPLES)}", where="--example"
        )
    return (files("rankfield.collect") / "examples" / f"{kind}.toml").read_text("utf-8")
