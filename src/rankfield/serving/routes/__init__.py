"""The routes of a service: one router for each subject."""

__all__: list[str] = []
