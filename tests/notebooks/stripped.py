"""`python -m tests.notebooks.stripped`: leaves in the notebooks what people wrote, so that a commit shows what they changed."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import nbformat

NOTEBOOKS: Final = sorted((Path(__file__).parent.parent.parent / "notebooks").glob("*.ipynb"))
_METADATA: Final = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}, "language_info": {"name": "python"}}


def stripped(path: Path) -> str:
    """The notebook as a file: without outputs and counts, and of metadata what every notebook has."""
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata = nbformat.from_dict(_METADATA)
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({})
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return nbformat.writes(notebook) + "\n"


if __name__ == "__main__":
    for path in NOTEBOOKS:
        path.write_text(stripped(path))
