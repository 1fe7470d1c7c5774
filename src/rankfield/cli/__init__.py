"""The command line: one file per verb, each with a function `command`."""

__all__: list[str] = []
