"""Making and dividing data sets: the sample shop, the four splits, leaks between them."""

from rankfield.curation.leaks import LeakReport, leak_report
from rankfield.curation.sample import sample_shop
from rankfield.curation.splits import split, split_sizes

__all__ = ["LeakReport", "leak_report", "sample_shop", "split", "split_sizes"]
