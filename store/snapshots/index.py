"""Where snapshots of a stream can be: the live files by shard, with the streams that they list."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from store.shard import shards_of
from store.snapshots.writing import listed, lists, short_hash
from store.tables.files import File


class Wanted(NamedTuple):
    """Snapshots of one aggregate, at or below a version of the stream and a position of the log; None: of any."""

    aggregate: str
    version: int | None = None
    position: int | None = None

    def may_be_in(self, file: File) -> bool:
        return (
            file.may_hold("aggregate", self.aggregate)
            and (self.version is None or file.low.get("version", 0) <= self.version)
            and (self.position is None or file.low.get("position", 0) <= self.position)
        )


class Index:
    """The files of one state of the table."""

    def __init__(self, files: Iterable[File]) -> None:
        self._shards: dict[str, list[tuple[File, bytes | None]]] = defaultdict(list)
        for file in files:
            self._shards[file.partition].append((file, listed(file)))

    def files(self) -> list[File]:
        return [file for files in self._shards.values() for file, _ in files]

    def of_stream(self, stream_id: str, wanted: Wanted) -> list[File]:
        """The files that can hold it."""
        hashed = short_hash(stream_id)
        return [
            file
            for shard in shards_of(stream_id) & self._shards.keys()
            for file, hashes in self._shards[shard]
            if file.may_hold("stream_id", stream_id) and wanted.may_be_in(file) and lists(hashes, hashed)
        ]

    def of_streams(self, stream_ids: Sequence[str]) -> Iterator[tuple[File, Sequence[str]]]:
        """The files that can hold some of these, each with those that it can hold, in order."""
        placed = self._placed(stream_ids)
        for shard, files in self._shards.items():
            for file, hashes in files:
                streams = [stream for stream, hashed in placed[shard] if file.may_hold("stream_id", stream) and lists(hashes, hashed)]
                if streams:
                    yield file, streams

    def _placed(self, stream_ids: Sequence[str]) -> Mapping[str, list[tuple[str, bytes]]]:
        """The streams in order, with their hashes, by the shards that can hold them."""
        placed: dict[str, list[tuple[str, bytes]]] = defaultdict(list)
        for stream_id in sorted(set(stream_ids)):
            hashed = short_hash(stream_id)
            for shard in shards_of(stream_id) & self._shards.keys():
                placed[shard].append((stream_id, hashed))
        return placed
