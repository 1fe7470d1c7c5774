"""What a service counts, in Prometheus' text form."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping

__all__ = ["Measures"]

_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Measures:
    """Requests by route, method and status, and how long they took; for several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._buckets: dict[str, list[int]] = {}
        self._seconds: dict[str, float] = {}

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request.

        Args:
            route: its pattern, "/v1/documents/{doc_id}", never what the client sent.
            method, status: of HTTP; an unknown method is "OTHER".
            seconds: from its head to the end of the answer.
        """
        known = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
        with self._lock:
            self._requests[route, method if method in known else "OTHER", status] += 1
            buckets = self._buckets.setdefault(route, [0] * (len(_BOUNDS) + 1))
            buckets[bisect_left(_BOUNDS, seconds)] += 1
            self._seconds[route] = self._seconds.get(route, 0.0) + seconds

    def text(self, gauges: Mapping[str, float]) -> str:
        """Return all as Prometheus reads it.

        Args:
            gauges: name without `rankfield_` → value; names that end in `_total` are counters.
        """
        with self._lock:
            requests = sorted(self._requests.items())
            buckets = {route: list(counts) for route, counts in sorted(self._buckets.items())}
            seconds = dict(self._seconds)
        lines = ["# TYPE rankfield_requests_total counter"]
        for (route, method, status), count in requests:
            labels = f'route="{route}",method="{method}",status="{status}"'
            lines.append(f"rankfield_requests_total{{{labels}}} {count}")
        lines.append("# TYPE rankfield_request_seconds histogram")
        for route, counts in buckets.items():
            total = 0
            for bound, count in zip((*map(str, _BOUNDS), "+Inf"), counts, strict=True):
                total += count
                labels = f'route="{route}",le="{bound}"'
                lines.append(f"rankfield_request_seconds_bucket{{{labels}}} {total}")
            lines.append(f'rankfield_request_seconds_sum{{route="{route}"}} {seconds[route]:.6f}')
            lines.append(f'rankfield_request_seconds_count{{route="{route}"}} {total}')
        for name, value in gauges.items():
            kind = "counter" if name.endswith("_total") else "gauge"
            lines.append(f"# TYPE rankfield_{name} {kind}")
            lines.append(f"rankfield_{name} {value:g}")
        return "\n".join(lines) + "\n"
