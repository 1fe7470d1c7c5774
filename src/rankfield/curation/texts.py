"""When two texts count as the same: the keys by which splits group and leaks are found."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import polars as pl

from rankfield.schema import Field

__all__ = ["digests", "joined_text", "near_key", "normalised", "same_words"]

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
    folded = texts.fill_null("")
    if bool((folded.str.len_bytes() != folded.str.len_chars()).any()):
        # lower case is not enough outside ASCII: "Straße" and "STRASSE" are the same word
        folded = folded.str.normalize("NFKC")
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
    return same_words(normalised(texts))


def same_words(words: pl.Series) -> pl.Series:
    """Return `near_key` of texts that are `normalised` already."""
    for pattern, replacement in _SINGULAR:
        words = words.str.replace_all(pattern, replacement)
    # plain Python: polars spends ten times as long to sort many short lists
    keys = [" ".join(sorted(set(text.split(" ")))) for text in words.to_list()]
    return pl.Series("text", keys, dtype=pl.String)


def digests(texts: pl.Series) -> pl.Series:
    """Return blake2b of each text, its first 128 bits; null where the text is "".

    16 bytes stand for a text of any length, and are the same on every machine. Two of n texts
    that differ share a digest with probability below n² / 2¹²⁹: 10⁻²⁵ for five million.

    Args:
        texts: strings, shape (N,), none null.

    Returns:
        UInt128, shape (N,).
    """
    blake2b = hashlib.blake2b
    codes = [blake2b(text.encode(), digest_size=16).digest() if text else None for text in texts]
    numbers = pl.Series(codes, dtype=pl.Binary).bin.reinterpret(dtype=pl.UInt128, endianness="big")
    return numbers.alias("digest")


def joined_text(frame: pl.DataFrame, fields: Iterable[Field]) -> pl.Series:
    """Return the text fields of each row, joined by a space; "" where all are absent."""
    names = [f.name for f in fields if f.modality == "text"]
    if not names:
        return pl.Series("text", [""]).new_from_index(0, frame.height)
    return frame.select(
        pl.concat_str([pl.col(n).fill_null("") for n in names], separator=" ").alias("text")
    )["text"]
