"""Data sets from a search API: queries, ranked results, images."""

from rankfield.collect.collect import collect, preview
from rankfield.collect.job import Job, load_job
from rankfield.collect.mapping import Mapping

__all__ = ["Job", "Mapping", "collect", "load_job", "preview"]
