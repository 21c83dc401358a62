"""The numbers on the page of the asset `metrics`."""

from __future__ import annotations

from pipelines.metrics import Sample, summary


def process(metric: str, value: float, labels: str = "{}", source: str = "app:1") -> Sample:
    return Sample(source, f"alluvium_{metric}", labels, value)


def test_what_is_there_needs_no_time_before() -> None:
    now = [
        process("head", 90), process("table_bytes", 10, '{"table":"events"}'), process("table_bytes", 5, '{"table":"fleet"}'),
        process("lag_seconds", 3, '{"projection":"fleet"}'), process("lag_seconds", 8, '{"projection":"routes"}'),
        process("circuit_state", 2, '{"place":"s3://b"}'),
    ]  # fmt: skip
    told = summary(now, [], None)
    assert [told[name] for name in ("head", "storage_bytes", "lag_s", "circuits_open")] == [90, 15, 8, 1]
    assert "events_per_s" not in told


def test_rates_and_means_are_of_the_time_between() -> None:
    before = [process("head", 100), process("commit_seconds_sum", 1.0), process("commit_seconds_count", 100)]
    now = [process("head", 400), process("commit_seconds_sum", 1.5), process("commit_seconds_count", 200)]
    told = summary(now, before, 60.0)
    assert (told["events_per_s"], told["commit_ms"]) == (5.0, 5.0)


def test_a_process_that_began_anew_counts_from_nothing() -> None:
    before = [process("applied_events_total", 900, source="a:1"), process("applied_events_total", 10, source="b:1")]
    now = [process("applied_events_total", 50, source="a:1"), process("applied_events_total", 20, source="b:1")]
    assert summary(now, before, 10.0)["applied_events_per_s"] == 6.0


def test_conflicts_are_a_share_of_what_was_tried() -> None:
    now = [
        process("appends_total", 75), process("refusals_total", 20, '{"reason":"WrongExpectedVersionError"}'),
        process("refusals_total", 5, '{"reason":"ConditionFailedError"}'), process("refusals_total", 9, '{"reason":"StorageError"}'),
    ]  # fmt: skip
    assert summary(now, [], 10.0)["conflict_share"] == 0.25


def test_what_nobody_measured_is_not_told() -> None:
    assert {"commit_ms", "cache_hit_share", "load_ms"}.isdisjoint(summary([process("head", 1)], [process("head", 1)], 10.0))
