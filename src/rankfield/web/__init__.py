"""Requests to servers that may misbehave: polite, bounded in every direction, resumable."""

from rankfield.web.fetcher import Fetcher
from rankfield.web.journal import Journal
from rankfield.web.limits import Limits
from rankfield.web.request import Answer, Request, RequestError

__all__ = ["Answer", "Fetcher", "Journal", "Limits", "Request", "RequestError"]
