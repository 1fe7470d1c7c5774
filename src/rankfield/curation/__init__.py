"""Making and dividing data sets: the sample shop, the four splits, leaks between them."""

from rankfield.curation.splits import split, split_sizes

__all__ = ["split", "split_sizes"]
