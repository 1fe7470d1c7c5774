"""What a run of requests may do to a server, and a server to it."""

from __future__ import annotations

from pydantic import Field

from rankfield import __version__
from rankfield.settings import Settings

__all__ = ["Limits"]


class Limits(Settings):
    """Limits of every request."""

    requests_per_second: float = Field(2.0, gt=0, description="to one server, on average")
    burst: int = Field(1, ge=1, description="requests that may follow each other at once")
    concurrency: int = Field(4, ge=1, le=256, description="requests on the way at one time")
    timeout: float = Field(30.0, gt=0, description="seconds without a byte")
    deadline: float = Field(120.0, gt=0, description="seconds for one attempt as a whole")
    retries: int = Field(5, ge=0, description="further attempts after a failure that may pass")
    backoff: float = Field(1.0, ge=0, description="seconds before the first retry, then doubled")
    max_backoff: float = Field(60.0, ge=0, description="seconds between two attempts at most")
    max_retry_after: float = Field(
        900.0, ge=0, description="longest Retry-After that is waited for; longer ones end the run"
    )
    give_up_after: int = Field(
        5, ge=1, description="requests failed in a row before a server is left alone"
    )
    max_bytes: int = Field(
        20_000_000, ge=1, description="of one answer of an API, after it is decompressed"
    )
    redirects: int = Field(5, ge=0, description="followed in a row")
    allow_private: bool = Field(
        False, description="allow servers on private, local and reserved addresses"
    )
    user_agent: str = Field(
        f"rankfield/{__version__}",
        min_length=1,
        description="how the requests introduce themselves",
    )
