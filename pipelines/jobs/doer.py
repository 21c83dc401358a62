"""Who asks for what a job does, and why: what its deeds say."""

# Annotations are not postponed here: Dagster takes configurations from them as they stand.

import dagster as dg
from pydantic import Field


class Doer(dg.Config):
    """Of what cannot be taken back: nobody is spared to say it."""

    by: str = Field(description="Who asks for it.")
    why: str = Field(description="Why; with a reference to the request, say. It stays in the audit for good.")


class Dagster(Doer):
    """Of what may run by itself."""

    by: str = Field(default="dagster", description="Who asks for it.")
    why: str = Field(default="as scheduled", description="Why. It stays in the audit for good.")
