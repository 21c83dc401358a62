"""A notebook that was run, as a reader sees it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from nbformat import NotebookNode

PLOT: Final = "application/vnd.vegalite.v5+json"


@dataclass(frozen=True, slots=True)
class Page:
    notebook: NotebookNode

    @property
    def prose(self) -> str:
        """With every line break as a space."""
        return " ".join(" ".join(cell.source for cell in self.notebook.cells if cell.cell_type == "markdown").split())

    def outputs(self, kind: str) -> list[NotebookNode]:
        """Of one kind, in their order: execute_result, display_data, stream, error."""
        return [output for cell in self.notebook.cells for output in cell.get("outputs", ()) if output.output_type == kind]

    def told(self, source: str) -> str:
        """What the cell that holds this source gave, as text."""
        [cell] = [cell for cell in self.notebook.cells if cell.cell_type == "code" and source in cell.source]
        return "".join(output.get("text") or output.data["text/plain"] for output in cell.outputs)

    def pages(self) -> list[str]:
        """The results that show themselves as HTML."""
        return [output.data["text/html"] for output in self.outputs("execute_result") if "text/html" in output.data]

    def plots(self) -> list[dict[str, Any]]:
        return [output.data[PLOT] for output in self.outputs("execute_result") if PLOT in output.data]


def drawn(part: dict[str, Any], data: str | None = None) -> Iterator[tuple[str, str]]:
    """Of a plot and its layers: the dataset that each field drawn is of, and the field."""
    data = part.get("data", {}).get("name", data)
    for channel in part.get("encoding", {}).values():
        for one in channel if isinstance(channel, list) else [channel]:
            if "field" in one:
                yield str(data), one["field"]
    for inner in [*part.get("layer", ()), *([part["spec"]] if "spec" in part else ())]:
        yield from drawn(inner, data)
