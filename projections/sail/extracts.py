"""Fields out of JSON, each read once however often a select says it, and without failing: what says them fails, if it comes to that."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from projections.sail.casts import REWRITTEN, or_doubted, parsed
from projections.sail.literals import quoted

_PATH: Final = re.compile(r"(?:\$\.)?([A-Za-z_][A-Za-z0-9_]*)|\$((?:\.[A-Za-z_][A-Za-z0-9_]*){2,})")


@dataclass(slots=True)
class Extracts:
    """`_read`: the field's text by column and path; `_parsed`: what it says, by that and DuckDB's type. Both: names of columns."""

    _read: dict[tuple[str, str], str] = field(default_factory=dict)
    _parsed: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)

    def field(self, column: str, path: str, to: str) -> str | None:
        """`column ->> path` as DuckDB's type `to`. None: it is not proven for such a path or type."""
        if (found := _PATH.fullmatch(path)) is None:
            return None
        whole = f"$.{found[1]}" if found[1] else f"${found[2]}"
        name = self._read.setdefault((column, whole), f"j{len(self._read)}")
        said = _as_text(name, column, whole) if to == "VARCHAR" else parsed(name, to)
        if said is None:
            return None
        value, _ = self._parsed.setdefault((name, to), (f"p{len(self._parsed)}", said))
        return or_doubted(value, name, f"{column} ->> {path} as {to}")

    def read(self) -> Iterator[str]:
        """Columns beside those of the log."""
        for (column, path), name in self._read.items():
            yield f"get_json_object({column}, {quoted(path)}) as {name}"

    def parsed(self) -> Iterator[str]:
        """Columns beside these."""
        for name, said in self._parsed.values():
            yield f"{said} as {name}"


def _as_text(name: str, column: str, path: str) -> str:
    """A string that looks like what DuckDB would write anew is looked at again: only JSON's own strings are given so."""
    string = f"cast(try_variant_get(try_parse_json({column}), {quoted(path)}, 'string') as string)"
    return f"case when {name} rlike {quoted(REWRITTEN)} then {string} else {name} end"
