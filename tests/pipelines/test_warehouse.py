"""Runs in Dagster are traced as other processes are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.pipelines.library import append, lent

HOUSE = Path(__file__).parents[2]
# In a process of its own: a provider can be set once in each.
TRACED = """
import sys
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

exporter, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)

import dagster as dg
from pipelines.assets.read_model import read_model
from pipelines.warehouse import Warehouse
from tests.pipelines.library import READERS, domain

asset = read_model(READERS, domain, "library")
assert dg.materialize([asset], resources={"warehouse": Warehouse(uri=sys.argv[1])}).success
print(*(f"{span.name} {span.attributes['alluvium.projection']}" for span in exporter.get_finished_spans()), sep="\\n")
"""


def test_what_a_run_applies_is_a_span_for_who_has_set_a_provider(tmp_path: Path) -> None:
    append(tmp_path, "book-emma", [lent("Ada")])
    told = subprocess.run([sys.executable, "-c", TRACED, str(tmp_path)], cwd=HOUSE, capture_output=True, text=True, check=True, timeout=120)
    assert told.stdout.splitlines() == ["alluvium.applied readers"]
