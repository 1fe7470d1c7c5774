"""Other layouts of ranking data: one file per layout, reading and writing."""

from rankfield.formats.tables import TableOptions, import_tables, read_tables

__all__ = ["TableOptions", "import_tables", "read_tables"]
