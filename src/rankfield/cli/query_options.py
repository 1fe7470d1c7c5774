"""The options of a search that make a query."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from rankfield.errors import InputError

if TYPE_CHECKING:
    from rankfield.query import Query

__all__ = ["QueryOptions"]


@dataclass(frozen=True, kw_only=True)
class QueryOptions:
    """What a query over an index may ask for beside its words.

    Its fields are the options themselves, as Typer reads them.
    """

    filter: Annotated[
        str | None,
        typer.Option(
            metavar="EXPRESSION",
            help="Which documents may be found: \"price < 50 and brand in ('Acme')\".",
            show_default=False,
        ),
    ] = None
    boost: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIELD[:SCALE][:WEIGHT]",
            help="Add to the score by a stored column: sales:log1p:0.1, "
            "added:reciprocal_age(30):0.2; repeat for more. Scales: linear, log1p, sqrt, "
            "reciprocal, reciprocal_age.",
            show_default=False,
        ),
    ] = None
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WORDS:SIMILARITY",
            help="Leave out documents of a higher similarity to words (or image:PATH, "
            "like:DOCUMENT): 'polka dots:0.4'; repeat for more.",
            show_default=False,
        ),
    ] = None
    hybrid: Annotated[
        Literal["rrf", "weighted"] | None,
        typer.Option(
            help="Find by words too (BM25), and fuse both lists by reciprocal ranks or by weighted "
            "scores.",
            show_default=False,
        ),
    ] = None
    hybrid_field: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[^WEIGHT]",
            help="With --hybrid: a stored column of text; repeat for more. Default: the text "
            "fields.",
            show_default=False,
        ),
    ] = None
    hybrid_text: Annotated[
        str | None,
        typer.Option(
            metavar="WORDS",
            help="With --hybrid: the words to find. Default: those of the query's positive parts.",
            show_default=False,
        ),
    ] = None
    vector_weight: Annotated[
        float | None,
        typer.Option(help="With --hybrid: how much vectors count. Default: 1.", show_default=False),
    ] = None
    text_weight: Annotated[
        float | None,
        typer.Option(help="With --hybrid: how much words count. Default: 1.", show_default=False),
    ] = None
    diversity: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Put unlike documents first: 0 not at all, 1 only that.",
            show_default=False,
        ),
    ] = None
    candidates: Annotated[
        int | None,
        typer.Option(
            help="With --diversity: how many results are ordered so. Default: 100.",
            show_default=False,
        ),
    ] = None
    cutoff: Annotated[
        float | None,
        typer.Option(
            metavar="SIMILARITY",
            help="Leave out results of a lower similarity.",
            show_default=False,
        ),
    ] = None
    relative_cutoff: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Leave out results of less than this share of the best similarity.",
            show_default=False,
        ),
    ] = None
    collapse: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Show the best document of each value of a column.",
            show_default=False,
        ),
    ] = None
    facet: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="Count the values of a column over the matching documents; repeat for more.",
            show_default=False,
        ),
    ] = None
    keep_liked: Annotated[
        bool, typer.Option("--keep-liked", help="Show the documents of like:DOCUMENT too.")
    ] = False
    offset: Annotated[int, typer.Option(min=0, help="Pass over the first so many results.")] = 0
    cursor: Annotated[
        str | None,
        typer.Option(
            help="The page after another one of the same query, which said its cursor.",
            show_default=False,
        ),
    ] = None
    window: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="How many candidates are ordered. Default: 1000, of each list of --hybrid 200.",
            show_default=False,
        ),
    ] = None
    explain: Annotated[bool, typer.Option("--explain", help="Say how each score comes about.")] = (
        False
    )
    json: Annotated[bool, typer.Option("--json", help="Print the whole answer as JSON.")] = False
    query: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A query object in JSON, in place of words; - reads standard input. Other "
            "options change it.",
            show_default=False,
        ),
    ] = None

    def given(self) -> str:
        """Return the first option that was given, such as "--filter"; "" if none was."""
        found = (one.name for one in fields(self) if getattr(self, one.name) != one.default)
        return next((f"--{name.replace('_', '-')}" for name in found), "")

    @property
    def is_plain(self) -> bool:
        """Whether the answer is a table of the nearest documents and nothing else."""
        return self.given() == ""

    def query_of(
        self,
        words: Sequence[str],
        image: str | None,
        limit: int | None,
        read_image: Callable[[str], bytes],
    ) -> Query:
        """Return the query of words and options.

        Args:
            words: parts, as `parts_of_words` takes them.
            image: the path of an image that goes with the one text, or alone.
            limit: how many results; 10, or what the query object says, if None.
            read_image: from a path to the bytes of an image.

        Raises:
            InputError: an option, a word or a query object that cannot be used.
        """
        from rankfield.query import Query, boost_of_word, excluded_of_word, parts_of_words
        from rankfield.query.query import WINDOW

        values = self._from_file(words, image)
        if not values:
            values["query"] = _with_image(parts_of_words(words, read_image), image, read_image)
        if self.boost:
            values["boost"] = [boost_of_word(word) for word in self.boost]
        if self.exclude:
            values["exclude"] = [excluded_of_word(word, read_image) for word in self.exclude]
        is_hybrid = self.hybrid is not None or "hybrid" in values
        changes = _present(
            filter=self.filter, collapse=self.collapse, facets=self.facet, cursor=self.cursor,
            limit=limit, offset=self.offset or None, keep_liked=self.keep_liked or None,
            explain=self.explain or None, hybrid=self._hybrid(is_hybrid) or None,
            mmr=_present(diversity=self.diversity, candidates=self.candidates) or None,
            cutoff=_present(min_similarity=self.cutoff, relative=self.relative_cutoff) or None,
            window=None if is_hybrid else self.window,
        )  # fmt: skip
        values = _changed(values, changes)
        end = values.get("offset", 0) + values.get("limit", Query.model_fields["limit"].default)
        if end > WINDOW and not is_hybrid:
            values.setdefault("window", end)
        return Query.of(values)

    def _hybrid(self, is_hybrid: bool) -> dict[str, Any]:
        """Return what the options say of --hybrid."""
        if not is_hybrid:
            given = [name for name in _WITH_HYBRID if getattr(self, name) is not None]
            if given:
                raise InputError("needs --hybrid", where=f"--{given[0].replace('_', '-')}")
            return {}
        weights = _present(vector=self.vector_weight, text=self.text_weight)
        return _present(
            fusion=self.hybrid, fields=self.hybrid_field, text=self.hybrid_text,
            weights=weights or None, window=self.window,
        )  # fmt: skip

    def _from_file(self, words: Sequence[str], image: str | None) -> dict[str, Any]:
        """Return the values of the query object in a file; none without one."""
        if self.query is None:
            return {}
        from rankfield.paths import read_bytes
        from rankfield.query import Query
        from rankfield.query.query import MAX_JSON

        if words or image is not None:
            raise InputError(
                "a query object and words are given; expected one of them", where="--query"
            )
        if str(self.query) == "-":
            return Query.from_json(sys.stdin.buffer.read(MAX_JSON + 1)).to_json()
        try:
            data = read_bytes(self.query, MAX_JSON)
        except OSError as error:
            raise InputError(f"cannot be read ({error.strerror})", where=str(self.query)) from error
        return Query.from_json(data).to_json()


_WITH_HYBRID = ("hybrid_field", "hybrid_text", "vector_weight", "text_weight")


def _present(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _changed(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return values with changes, key by key, in tables among them too."""
    tables = {
        key: _changed(values[key], change)
        for key, change in changes.items()
        if isinstance(change, Mapping) and key in values
    }
    return {**values, **changes, **tables}


def _with_image(
    parts: list[dict[str, Any]], image: str | None, read_image: Callable[[str], bytes]
) -> list[dict[str, Any]]:
    """Return parts with the image of --image: one part with the one text, or alone."""
    if image is None:
        if not parts:
            raise InputError("give a query text, an image, or both")
        return parts
    if len(parts) > 1 or any(set(part) != {"text"} for part in parts):
        raise InputError(
            "goes with one text, found other parts",
            where="--image",
            remedy="Write the image as a part too: image:PATH or image:PATH:WEIGHT.",
        )
    return [{**(parts[0] if parts else {}), "image": read_image(image)}]
