"""What processes do and what the warehouse holds, for Prometheus and OpenTelemetry."""

from pipelines.metrics.endpoint import LOOPBACK, EndpointError, endpoint, process_registry
from pipelines.metrics.logging_observer import logging_observer
from pipelines.metrics.observers import Observers
from pipelines.metrics.prometheus_observer import PrometheusObserver
from pipelines.metrics.samples import SAMPLES, Sample, Samples, samples_of
from pipelines.metrics.scraping import ScrapeError, scrape, source_of
from pipelines.metrics.summary import summary
from pipelines.metrics.tracing import TracingObserver, traceparent
from pipelines.metrics.warehouse_collector import WarehouseCollector

__all__ = [
    "LOOPBACK",
    "SAMPLES",
    "EndpointError",
    "Observers",
    "PrometheusObserver",
    "Sample",
    "Samples",
    "ScrapeError",
    "TracingObserver",
    "WarehouseCollector",
    "endpoint",
    "logging_observer",
    "process_registry",
    "samples_of",
    "scrape",
    "source_of",
    "summary",
    "traceparent",
]
