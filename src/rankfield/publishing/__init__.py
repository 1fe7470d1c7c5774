"""Models for others: a model's folder on a hub."""

from rankfield.publishing.push import Push, push, push_plan

__all__ = ["Push", "push", "push_plan"]
