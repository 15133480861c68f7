"""What a server counts, in the text format of Prometheus; a registry for each app."""

from collections.abc import Callable

from prismat.errors import MissingExtraError

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of the latency histogram in seconds."""


class Metrics:
    """Counters of one app.

    Args:
        waiting: tells how many requests run or wait on the pool.
        size: records in the index.

    Raises:
        MissingExtraError: prometheus-client is not installed.
    """

    def __init__(self, waiting: Callable[[], int], size: int) -> None:
        try:
            import prometheus_client as prometheus
        except ImportError as error:
            raise MissingExtraError("prometheus_client", "app") from error
        self.registry = prometheus.CollectorRegistry()
        labels = ("method", "route", "status")
        self.requests = prometheus.Counter(
            "prismat_requests", "Requests answered.", labels, registry=self.registry
        )
        self.seconds = prometheus.Histogram(
            "prismat_request_seconds",
            "Time to the end of an answer.",
            ("route",),
            registry=self.registry,
            buckets=BUCKETS,
        )
        self.open = prometheus.Gauge(
            "prismat_requests_open", "Requests being answered.", registry=self.registry
        )
        pool = prometheus.Gauge("prismat_pool_taken", "Work that runs or waits.", registry=self.registry)
        pool.set_function(lambda: float(waiting()))
        records = prometheus.Gauge("prismat_index_records", "Records in the index.", registry=self.registry)
        records.set(size)
        prometheus.ProcessCollector(registry=self.registry)
        self._text, self.media_type = prometheus.generate_latest, prometheus.CONTENT_TYPE_LATEST

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """One answered request."""
        self.requests.labels(method, route, str(status)).inc()
        self.seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """All of it."""
        return self._text(self.registry)
