"""What S3 allows whom, decided by the very policy documents that docs/access.md shows: a proxy that refuses what they do not allow."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import pytest

from store import EventStore, Observer, open_store
from tests.store.storage.proxy import Proxy, Relay

DOCUMENTS = Path(__file__).parents[3] / "docs/access"
_CALLER = re.compile(r"Credential=([^/]+)/").search
_KEYS = re.compile(rb"<Key>([^<]*)</Key>").findall
Document = Mapping[str, Any]


class Asked(NamedTuple):
    """`action` of S3 on a `resource`, under these condition keys."""

    action: str
    resource: str
    keys: Mapping[str, str]


def document(name: str, bucket: str, warehouse: str) -> Document:
    """One of docs/access, with the names of a bucket and a warehouse in it."""
    text = (DOCUMENTS / f"{name}.json").read_text()
    found: Document = json.loads(text.replace("BUCKET", bucket).replace("WAREHOUSE", warehouse))
    return found


def allows(documents: Sequence[Document], asked: Asked) -> bool:
    """As IAM decides: a deny that fits is the last word, and without an allow that fits it is no."""
    fitting = {statement["Effect"] for document in documents for statement in document["Statement"] if _fits(statement, asked)}
    return fitting == {"Allow"}


def _fits(statement: Mapping[str, Any], asked: Asked) -> bool:
    if unknown := set(statement) - {"Sid", "Effect", "Principal", "Action", "Resource", "Condition"}:
        raise ValueError(f"nothing here understands {unknown}")
    return (
        any(_like(pattern, asked.action) for pattern in _listed(statement["Action"]))
        and any(_like(pattern, asked.resource) for pattern in _listed(statement["Resource"]))
        and all(_holds(operator, tests, asked.keys) for operator, tests in statement.get("Condition", {}).items())
    )


def _holds(operator: str, tests: Mapping[str, Any], keys: Mapping[str, str]) -> bool:
    if operator != "Null":
        raise ValueError(f"nothing here understands the condition {operator}")
    return all((key not in keys) == (value == "true") for key, value in tests.items())


def _listed(one_or_more: Any) -> Sequence[str]:
    return [one_or_more] if isinstance(one_or_more, str) else one_or_more


def _like(pattern: str, text: str) -> bool:
    return re.fullmatch("".join({"*": ".*", "?": "."}.get(sign, re.escape(sign)) for sign in pattern), text) is not None


class Enforcer:
    """A fault of the proxy: what the caller's documents do not allow is refused as S3 does it. `asked`: caller, what, and whether it was allowed."""

    def __init__(self, documents: Mapping[str, Sequence[Document]]) -> None:
        """`documents`: of each access key id."""
        self.documents = dict(documents)
        self.asked: list[tuple[str, Asked, bool]] = []

    def __call__(self, relay: Relay) -> None:
        caller = _CALLER(relay.headers.get("authorization", ""))
        mine = self.documents.get(caller[1] if caller else "", ())
        wanted = requested(relay)
        verdicts = [allows(mine, asked) for asked in wanted]
        self.asked += [(caller[1] if caller else "", asked, allowed) for asked, allowed in zip(wanted, verdicts, strict=True)]
        if all(verdicts):
            status, headers, body = relay.upstream()
            bucket = urlsplit(relay.path).path.split("/")[1]
            if status == 404 and relay.command in ("GET", "HEAD") and not allows(mine, Asked("s3:ListBucket", f"arn:aws:s3:::{bucket}", {})):
                denied(relay)                      # who may not list is not told what is absent
            else:
                relay.answer(status, headers, body)
        elif wanted[0].action == "s3:DeleteObject" and relay.command == "POST":
            errors = (f"<Error><Key>{escape(key.decode())}</Key><Code>AccessDenied</Code><Message>No</Message></Error>" for key in _KEYS(relay.body))
            body = f'<DeleteResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{"".join(errors)}</DeleteResult>'.encode()
            relay.answer(200, [("content-type", "application/xml"), ("content-length", str(len(body)))], body)
        else:
            denied(relay)

    def used(self, caller: str) -> set[tuple[str, str]]:
        """Which actions it was allowed, on which folders and kinds of files."""
        return {(asked.action, _kind(asked.resource)) for who, asked, allowed in self.asked if who == caller and allowed}

    def refused(self, caller: str) -> list[Asked]:
        return [asked for who, asked, allowed in self.asked if who == caller and not allowed]


def requested(relay: Relay) -> list[Asked]:
    """What a request asks of S3."""
    place = urlsplit(relay.path)
    bucket, _, key = unquote(place.path).removeprefix("/").partition("/")
    query, arn = parse_qs(place.query, keep_blank_values=True), f"arn:aws:s3:::{bucket}"
    keys = {"s3:if-none-match": relay.headers["if-none-match"]} if "if-none-match" in relay.headers else {}
    match relay.command:
        case "POST" if "delete" in query:
            return [Asked("s3:DeleteObject", f"{arn}/{name.decode()}", {}) for name in _KEYS(relay.body)]
        case "PUT" | "POST":
            return [Asked("s3:PutObject", f"{arn}/{key}", keys)]
        case "DELETE" if "uploadId" in query:
            return [Asked("s3:AbortMultipartUpload", f"{arn}/{key}", {})]
        case "DELETE":
            return [Asked("s3:DeleteObject", f"{arn}/{key}", {})]
        case "GET" if not key:
            return [Asked("s3:ListBucket", arn, {"s3:prefix": query.get("prefix", [""])[0]})]
        case _:
            return [Asked("s3:GetObject", f"{arn}/{key}", {})]


def denied(relay: Relay) -> None:
    body = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
    relay.answer(403, [("content-type", "application/xml"), ("content-length", str(len(body)))], b"" if relay.command == "HEAD" else body)


def _kind(resource: str) -> str:
    """Without the bucket, the warehouse and what names one file: `events/_delta_log/*.json`."""
    *folders, name = resource.split(":::")[1].split("/")[2:] or [""]
    return "/".join([*(re.sub(r"=h[0-9a-f]*", "=*", folder) for folder in folders), re.sub(r"^.*?((\.[a-z]+)*)$", r"*\1", name) if name else ""])


ALL = [{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}]
"""Of who set it up."""
CAPABILITIES = ("read-only", "append-only", "projecting", "maintenance")


@dataclass
class Bucket:
    """A warehouse in S3, and who may do what in it: `owner` everything, and each of CAPABILITIES what its document says."""

    uri: str
    enforcer: Enforcer
    environment: pytest.MonkeyPatch

    @classmethod
    def of(cls, proxy: Proxy, bucket: str, uri: str, environment: pytest.MonkeyPatch) -> Bucket:
        """With the credentials of the owner."""
        documents = {name: [document(name, bucket, uri.rpartition("/")[2])] for name in CAPABILITIES}
        proxy.always = enforcer = Enforcer({"owner": ALL, **documents})
        made = cls(uri, enforcer, environment)
        made.become("owner")
        return made

    def become(self, capability: str) -> None:
        """All that is opened from now on has these credentials; what is open keeps its own."""
        self.environment.setenv("AWS_ACCESS_KEY_ID", capability)

    def open(self, capability: str, observer: Observer | None = None, upkeep: bool = True) -> EventStore:
        self.become(capability)
        return open_store(self.uri, observer=observer, upkeep=upkeep)
