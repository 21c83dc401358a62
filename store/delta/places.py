"""Where a warehouse lies: a directory or a bucket."""

from __future__ import annotations

from store.delta.objects import Objects


def join(uri: str, name: str) -> str:
    return f"{uri.rstrip('/')}/{name}"


def objects_at(uri: str) -> Objects:
    raise NotImplementedError
