"""What the store did is found in the trace of whoever asked for it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode, format_span_id, format_trace_id

from pipelines.metrics import TracingObserver, traceparent
from projections import Halted
from store import Committed, Event, Failed, correlated, load, open_store, transact
from tests.store.deciding.account import account, deposit


class Traces:
    def __init__(self) -> None:
        self._exporter, self._provider = InMemorySpanExporter(), TracerProvider()
        self._provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.observer = TracingObserver(self._provider)
        self.tracer = self._provider.get_tracer("the application")

    def one(self, name: str) -> ReadableSpan:
        [span] = [span for span in self._exporter.get_finished_spans() if span.name == name]
        return span


@pytest.fixture
def traces() -> Traces:
    return Traces()


def test_a_commit_lies_within_the_operation_whose_context_its_events_carry(tmp_path: Path, traces: Traces) -> None:
    with open_store(tmp_path, create=True, observer=traces.observer) as store, traces.tracer.start_as_current_span("request") as request:
        with correlated(traceparent()) as correlation_id:
            store.append("a-1", [Event("Happened", {})])
        read = store.read_stream("a-1")["correlation_id"][0].as_py()
    asked, commit = request.get_span_context(), traces.one("alluvium.committed")
    assert read == correlation_id
    assert correlation_id.startswith(f"00-{format_trace_id(asked.trace_id)}-{format_span_id(asked.span_id)}-")
    assert commit.context is not None
    assert commit.parent is not None
    assert (commit.context.trace_id, commit.parent.span_id) == (asked.trace_id, asked.span_id)
    assert commit.attributes is not None
    assert (commit.attributes["alluvium.events"], commit.attributes["alluvium.correlation_ids"]) == (1, (correlation_id,))


def test_a_commit_that_several_share_is_linked_to_all_of_them(traces: Traces) -> None:
    parents = []
    for name in ("one", "other"):
        with traces.tracer.start_as_current_span(name):
            parents.append(str(traceparent()))
    traces.observer.record(Committed(7, 2, 2, 900, 1, 0.25, (*parents, "no context")))
    commit = traces.one("alluvium.committed")
    assert commit.parent is None
    assert [format_trace_id(link.context.trace_id) for link in commit.links] == [parent.split("-")[1] for parent in parents]


def test_a_span_is_as_long_as_what_was_measured(traces: Traces) -> None:
    before_ns = time.time_ns()
    traces.observer.record(Committed(7, 1, 1, 900, 1, 0.25))
    commit = traces.one("alluvium.committed")
    assert commit.start_time is not None
    assert commit.end_time is not None
    assert commit.end_time - commit.start_time == 250_000_000
    assert commit.end_time >= before_ns


def test_a_load_lies_within_the_current_span(tmp_path: Path, traces: Traces) -> None:
    with open_store(tmp_path, create=True) as store:
        transact(store, account, "1", deposit(5))
    with open_store(tmp_path, observer=traces.observer) as store, traces.tracer.start_as_current_span("request") as request:
        load(store, account, "1")
    loaded = traces.one("alluvium.reconstructed")
    assert loaded.parent is not None
    assert loaded.parent.span_id == request.get_span_context().span_id
    assert loaded.attributes is not None
    assert loaded.attributes["alluvium.stream_id"] == "account-1"


@pytest.mark.parametrize(
    ("measurement", "name", "why"),
    [
        (Failed("upkeep", "no room"), "alluvium.failed", "no room"),
        (Halted("fleet", "ApplyError", "there is no such field", None), "alluvium.halted", "there is no such field"),
    ],
)
def test_what_failed_is_an_error_with_the_reason(traces: Traces, measurement: Failed | Halted, name: str, why: str) -> None:
    traces.observer.record(measurement)
    status = traces.one(name).status
    assert (status.status_code, status.description) == (StatusCode.ERROR, why)


def test_outside_of_a_span_there_is_no_context() -> None:
    assert traceparent() is None
