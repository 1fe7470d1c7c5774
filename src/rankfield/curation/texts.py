"""When two texts count as the same: the keys by which splits group and leaks are found."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from rankfield.schema import Field

__all__ = ["joined_text", "near_key", "normalised"]

_SINGULAR = (
    (r"\b(\w{2,})ies?\b", "${1}y"),
    (r"\b(\w*(?:ss|x|z|ch|sh))es\b", "${1}"),
    (r"\b(\w+[^\Wsui])s\b", "${1}"),
)


def normalised(texts: pl.Series) -> pl.Series:
    """Return each text in Unicode form NFKC, case-folded, punctuation and blanks as one space.

    Args:
        texts: strings, shape (N,); null counts as "".

    Returns:
        Strings, shape (N,), never null: "Men's  T-shirt!" → "men s t shirt".
    """
    folded = texts.fill_null("").str.normalize("NFKC")
    if not bool(folded.str.contains(r"^[\x00-\x7f]*$").all()):
        # lower case is not enough outside ASCII: "Straße" and "STRASSE" are the same word
        folded = folded.map_elements(str.casefold, return_dtype=pl.String)
        folded = folded.str.normalize("NFKC")
    return (
        folded.str.to_lowercase().str.replace_all(r"[\W_]+", " ").str.strip_chars(" ").alias("text")
    )


def near_key(texts: pl.Series) -> pl.Series:
    """Return a key that texts with the same words share, whatever order, number and repetition.

    The set of the normalised words, sorted, each in a rough English singular: "-ies" and "-ie"
    become "-y" (batteries, movie), "-es" falls after ss, x, z, ch, sh (glasses, boxes), any other
    "-s" falls unless after s, u or i (laptops, but not glass, bus, tennis). A key is not a word:
    it only has to be the same for both forms.

    Args:
        texts: strings, shape (N,); null counts as "".

    Returns:
        Strings, shape (N,): "Laptops, black" and "black laptop" → "black laptop".
    """
    words = normalised(texts)
    for pattern, replacement in _SINGULAR:
        words = words.str.replace_all(pattern, replacement)
    # plain Python: polars takes six times as long to sort a million short lists
    return words.map_elements(
        lambda text: " ".join(sorted(set(text.split(" ")))), return_dtype=pl.String
    )


def joined_text(frame: pl.DataFrame, fields: Iterable[Field]) -> pl.Series:
    """Return the text fields of each row, joined by a space; "" where all are absent."""
    names = [f.name for f in fields if f.modality == "text"]
    if not names:
        return pl.Series("text", [""]).new_from_index(0, frame.height)
    return frame.select(
        pl.concat_str([pl.col(n).fill_null("") for n in names], separator=" ").alias("text")
    )["text"]
