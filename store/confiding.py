"""What a store does for personal data beside its keys: deeds of it go into its log, and what it remembers is forgotten with the keys."""

from __future__ import annotations

from store.deeds import Deed, record
from store.intake import Intake
from store.privacy.confidant import Confidant
from store.submits import Submits


def confidant(store: Submits, intake: Intake) -> Confidant:
    """That of a store."""
    return Confidant(
        intake.seals,
        lambda type, by, why, what: record(store, Deed(type, by, why, what)),
        lambda ref: store.deciding.forget_subject(ref),
    )
