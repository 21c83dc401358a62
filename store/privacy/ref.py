"""Names of subjects that tell nobody who they are."""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from store.privacy.token import written

PEPPER_BYTES: Final = 32
REF_BYTES: Final = 16


def ref_of(pepper: bytes, subject: str) -> str:
    """By a keyed hash: without the pepper nobody can find out by trying whose it is. Two subjects of one name there will never be."""
    return written(hmac.digest(pepper, subject.encode(), hashlib.sha256)[:REF_BYTES])
