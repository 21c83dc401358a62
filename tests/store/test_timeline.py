"""A timeline shows any events that the store reads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from store import Event, InvalidEventError, MemoryEventStore, Timeline, correlated, open_store

NOON = datetime(2013, 2, 8, 12, tzinfo=UTC)


@pytest.fixture
def store() -> MemoryEventStore:
    store = MemoryEventStore()
    with correlated("journey-7"):
        store.append("aircraft-N1", [Event("Departed", {"to": "BOS"}, occurred_at=NOON)])
        store.append("airport-BOS", [Event("Awaits", {}, occurred_at=NOON + timedelta(minutes=5))])
    store.append("aircraft-N1", [Event("Arrived", {"at": "BOS"}, occurred_at=NOON + timedelta(minutes=110))])
    return store


def test_a_stream_shows_each_event_and_the_time_between_them(store: MemoryEventStore) -> None:
    assert repr(Timeline(store.read_stream("aircraft-N1"))).splitlines() == [
        "2 events of aircraft-N1 · versions 1 to 2 · 2013-02-08 12:00 to 2013-02-08 13:50 UTC",
        "version  occurred at                since  type      data",
        "      1  2013-02-08 12:00:00               Departed  to: BOS",
        "      2  2013-02-08 13:50:00  +1 h 50 min  Arrived   at: BOS",
    ]


def test_events_of_several_streams_name_them(store: MemoryEventStore) -> None:
    told = str(Timeline(store.sql("from conversation('journey-7')").to_arrow_table())).splitlines()
    assert told[0] == "2 events of 2 streams · positions 1 to 2 · 2013-02-08 12:00 to 2013-02-08 12:05 UTC"
    assert [line.split()[:3] for line in told[2:]] == [["1", "aircraft-N1", "1"], ["2", "airport-BOS", "1"]]


def test_a_long_stream_is_bounded_and_the_gap_spans_what_is_left_out() -> None:
    store = MemoryEventStore()
    store.append("clock-1", [Event("Ticked", {"n": n}, occurred_at=NOON + timedelta(minutes=n)) for n in range(1_000)])
    timeline = Timeline(store.read_stream("clock-1"))
    told = repr(timeline).splitlines()
    assert (len(timeline), len(told)) == (1_000, 2 + 10 + 1 + 10)
    assert told[12] == "… 980 more"
    assert told[13].split() == ["991", "2013-02-09", "04:30:00", "+1", "min", "Ticked", "n:", "990"]
    assert timeline._repr_html_().count("<tr>") == 1 + 10 + 1 + 10


def test_a_payload_cannot_write_the_page() -> None:
    store = MemoryEventStore()
    store.append("note-<b>", [Event("Written", {"text": "<script>alert(1)</script>"})])
    page = Timeline(store.read_stream("note-<b>"))._repr_html_()
    assert "&lt;script&gt;" in page
    assert "<script" not in page
    assert "<b>" not in page


def test_no_events_are_told(store: MemoryEventStore) -> None:
    assert repr(Timeline(store.read_stream("aircraft-N2"))) == "no events"


def test_a_timeline_reads_backward_too(store: MemoryEventStore) -> None:
    told = repr(Timeline(store.read_stream("aircraft-N1", backward=True)))
    assert "−1 h 50 min" in told


def test_other_tables_are_refused(store: MemoryEventStore) -> None:
    with pytest.raises(InvalidEventError, match="have no stream_id, data: give events"):
        Timeline(store.read_stream("aircraft-N1").drop(["data", "stream_id"]))


def test_what_a_query_over_the_files_gives_is_shown_the_same(store: MemoryEventStore, tmp_path: object) -> None:
    with open_store(f"{tmp_path}/warehouse", create=True) as other:
        other.append_table(store.read_all().read_all().drop(["position", "version", "recorded_at", "schema_version"]))
        found = other.sql("from stream('aircraft-N1')").to_arrow_table()
        assert repr(Timeline(found)) == repr(Timeline(store.read_stream("aircraft-N1")))
