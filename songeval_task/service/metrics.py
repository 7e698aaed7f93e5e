"""Metrics of the service, as Prometheus reads them."""

from collections.abc import Iterator

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from songeval_task.service.job_queue import JobQueue

__all__ = ["ServiceMetrics"]

PREFIX = "hear_aesthetics_"
LATENCIES = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)  # seconds

disable_created_metrics()  # a series more for each of the others, which nobody reads


class ServiceMetrics:
    """Metrics of one service, in a registry of its own.

    Args:
        jobs: The queue.
    """

    def __init__(self, jobs: JobQueue) -> None:
        self._registry = registry = CollectorRegistry()
        registry.register(_QueueCollector(jobs))
        labels = ("path", "status")
        self._requests = Counter(
            f"{PREFIX}requests", "Requests that were answered.", labels, registry=registry
        )
        self._latency = Histogram(
            f"{PREFIX}latency_seconds",
            "Seconds from the head of a request to the end of its answer.",
            labels[:1],
            buckets=LATENCIES,
            registry=registry,
        )

    def observe(self, path: str, status: int, seconds: float) -> None:
        """Count an answer."""
        self._requests.labels(path, str(status)).inc()
        self._latency.labels(path).observe(seconds)

    def text(self) -> bytes:
        """Return all metrics in the Prometheus text format."""
        return generate_latest(self._registry)


class _QueueCollector(Collector):
    """Metrics of a queue, read when they are asked for."""

    def __init__(self, jobs: JobQueue) -> None:
        self._jobs = jobs

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics as they are now."""
        jobs = self._jobs
        yield GaugeMetricFamily(f"{PREFIX}queue_places", "Places in the queue.", jobs.capacity)
        yield GaugeMetricFamily(f"{PREFIX}queue_taken", "Places that are taken.", jobs.taken)
        yield CounterMetricFamily(
            f"{PREFIX}audio_seconds", "Seconds of audio that were computed.", jobs.audio_seconds
        )
