"""Other layouts of ranking data: one file per layout, reading and writing."""

from rankfield.formats.tables import import_tables, read_tables

__all__ = ["import_tables", "read_tables"]
