"""The page: search and grading in a browser, rendered by the service."""

__all__: list[str] = []
