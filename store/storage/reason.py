"""What another library says failed, fit to be told: without addresses, quotations and bodies of replies, which can hold keys."""

from __future__ import annotations

import re


def reason(error: BaseException) -> str:
    """The first paragraph, without what may be a secret."""
    said = str(error).split("\n\n")[0]
    said = re.sub(r"(status code: \d{3}[A-Za-z ]*).*", r"\1", said, flags=re.DOTALL)
    return re.sub(r"\w+://\S+|\"[^\"]*\"?", "…", said).strip()
