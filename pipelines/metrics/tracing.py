"""Measurements as OpenTelemetry spans. Which exporter they go to is the application's: without an SDK nothing is made of them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from projections import Delayed, Halted
from store import Failed, Refused

_HEADER: Final = "traceparent"
_MOST_LINKS: Final = 32
"""Of a commit that many appends share; the attributes name as many correlation ids."""


class TracingObserver:
    """For `open_store(observer=…)` and the runners of projections: a span for each measurement, named `alluvium.` and its kind.

    It lies within the span that is current where the measurement is taken. Where none is, as a commit is made on a thread of its own, it follows
    from the operations whose correlation ids are trace contexts: within the span of one, linked to those of several. See `traceparent`.
    """

    def __init__(self, provider: trace.TracerProvider | None = None) -> None:
        """`provider`: None, the one that the application has set."""
        self._tracer = trace.get_tracer("alluvium", tracer_provider=provider)

    def record(self, measurement: Any) -> None:
        facts = asdict(measurement)
        took_s = facts.get("waited_s", facts.get("seconds", 0.0))
        causes = _causes([*facts.get("correlation_ids", ()), facts.get("correlation_id")])
        context = _context(causes)
        ends_ns = time.time_ns()
        span = self._tracer.start_span(
            f"alluvium.{type(measurement).__name__.lower()}",
            context=context,
            links=[] if context is not None else [trace.Link(cause) for cause in causes],
            start_time=ends_ns - round(took_s * 1e9),
            attributes=_attributes(facts),
        )
        if isinstance(measurement, Failed | Refused | Halted | Delayed):
            span.set_status(trace.StatusCode.ERROR, str(facts.get("error") or facts.get("problem") or facts["reason"]))
        span.end(ends_ns)


def traceparent() -> str | None:
    """The current span as a W3C trace context; None outside of any.

    `with correlated(traceparent()):` makes it the correlation id of what is appended inside: whoever reads the events, whenever, can go on with
    the trace, and the spans of the commits are found in it.
    """
    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get(_HEADER)


def _causes(correlation_ids: Sequence[str | None]) -> list[trace.SpanContext]:
    read = (TraceContextTextMapPropagator().extract({_HEADER: one}) for one in dict.fromkeys(correlation_ids) if one)
    found = (trace.get_current_span(context).get_span_context() for context in read)
    return [one for one in found if one.is_valid][:_MOST_LINKS]


def _context(causes: Sequence[trace.SpanContext]) -> Context | None:
    """That of the only cause. None: the current one."""
    if trace.get_current_span().get_span_context().is_valid or len(causes) != 1:
        return None
    return trace.set_span_in_context(trace.NonRecordingSpan(causes[0]))


def _attributes(facts: Mapping[str, Any]) -> dict[str, Any]:
    told = {name: value[:_MOST_LINKS] if isinstance(value, tuple) else value for name, value in facts.items()}
    return {f"alluvium.{name}": value for name, value in told.items() if value is not None and value != ()}
