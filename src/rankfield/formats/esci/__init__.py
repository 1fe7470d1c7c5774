"""Amazon's Shopping Queries data set (ESCI)."""

__all__: list[str] = []
