"""The blob service: containers and blobs can be read and listed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from simulator.calls import Answer, Call
from simulator.formats import iso_time
from simulator.providers.storage import errors
from simulator.providers.storage.access import check_access
from simulator.providers.storage.listing import XML, http_date, list_of_blobs, list_of_containers, list_of_pages
from simulator.providers.storage.staging import Blob, blobs_of, jobs_with_blobs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simulator.providers.backup.jobs import Job
    from simulator.providers.storage.host import StorageCall
    from simulator.scenario import StorageAccount
    from simulator.world import World

READ_STORAGE = "read_storage"
"""What all calls for storage are named in the request log."""
_MOST_RESULTS = 5000
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


def answer_storage(world: World, call: Call, asked: StorageCall) -> Answer:
    """Answer a call for storage; drop the connection for an account that does not exist: it would have no host."""
    if asked.account is None:
        return Answer(dropped=True, headers={"x-ms-request-id": ""}, is_arm=False)
    request_id = world.new_id()
    headers = {
        "x-ms-request-id": request_id,
        "x-ms-client-request-id": call.headers["x-ms-client-request-id"],
        "x-ms-version": call.headers.get("x-ms-version", "2009-09-19"),
    }
    try:
        check_access(world, call, asked.account, asked.container)
        _check_faults(world, asked.account)
        given = _answer(world, call, asked, asked.account)
    except errors.StorageError as error:
        given = _error_answer(world, error, request_id)
    return Answer(
        status=given.status,
        raw=None if call.method == "HEAD" else given.raw,
        headers={**headers, **given.headers},
        content_type=given.content_type,
        is_arm=False,
    )


def _check_faults(world: World, account: StorageAccount) -> None:
    """Raise 503 if the switches at the account say that it is busy."""
    state = world.faults_at(account.resource_id)
    burst = state.faults.errors503
    if burst and burst.hits(READ_STORAGE) and state.strikes("errors503", burst.count):
        raise errors.server_busy()


def _error_answer(world: World, error: errors.StorageError, request_id: str) -> Answer:
    detail = f"<AuthenticationErrorDetail>{error.detail}</AuthenticationErrorDetail>" if error.detail else ""
    text = (
        f'\ufeff<?xml version="1.0" encoding="utf-8"?><Error><Code>{error.code}</Code>'
        f"<Message>{escape(error.message)}\nRequestId:{request_id}\nTime:{iso_time(world.now())}</Message>{detail}</Error>"
    )
    return Answer(status=error.status, raw=text.encode(), headers=error.headers, content_type=XML)


def _answer(world: World, call: Call, asked: StorageCall, account: StorageAccount) -> Answer:
    if call.method not in {"GET", "HEAD"}:
        raise errors.unsupported_verb()
    jobs, kind = jobs_with_blobs(world, account), (call.query.get("restype", ""), call.query.get("comp", ""))
    if not asked.container:
        return _containers(call, asked, kind, jobs)
    job = jobs.get(asked.container)
    if job is None:
        raise errors.container_not_found()
    blobs = blobs_of(world, job)
    if asked.blob:
        return _blob(call, kind, blobs.get(asked.blob))
    if kind == ("container", "list"):
        return _page_of_blobs(call, asked, list(blobs.values()))
    if kind == ("container", ""):
        return Answer(raw=b"", headers={"Last-Modified": http_date(job.ends_at()), "x-ms-lease-state": "available"})
    raise errors.invalid_parameter()


def _containers(call: Call, asked: StorageCall, kind: tuple[str, str], jobs: Mapping[str, Job]) -> Answer:
    if kind != ("", "list"):
        raise errors.invalid_parameter()
    prefix = call.query.get("prefix", "")
    containers = {name: job.ends_at() for name, job in sorted(jobs.items()) if name.startswith(prefix)}
    return Answer(raw=list_of_containers(asked.endpoint, containers), content_type=XML)


def _blob(call: Call, kind: tuple[str, str], blob: Blob | None) -> Answer:
    if blob is None:
        raise errors.blob_not_found()
    if kind == ("", "pagelist"):
        return _pages(blob)
    if kind != ("", ""):
        raise errors.invalid_parameter()
    return _content(call, blob)


def _page_of_blobs(call: Call, asked: StorageCall, blobs: list[Blob]) -> Answer:
    """Write one page; the marker is the name of the blob with which the next page begins."""
    most, marker, prefix = (call.query.get(name, "") for name in ("maxresults", "marker", "prefix"))
    if most and not (most.isdecimal() and int(most)):
        raise errors.invalid_parameter()
    found = [blob for blob in blobs if blob.name.startswith(prefix) and blob.name >= marker]
    size = min(int(most or _MOST_RESULTS), _MOST_RESULTS)
    following = found[size].name if len(found) > size else ""
    text = list_of_blobs(asked.endpoint, asked.container, found[:size], call.query, following)
    return Answer(raw=text, content_type=XML)


def _pages(blob: Blob) -> Answer:
    """Answer the written pages of a page blob, which are all of them: the SDK reads this list before a page blob."""
    if blob.kind != "PageBlob":
        raise errors.wrong_blob_type()
    if blob.content is None:
        raise errors.no_content()
    headers = {"ETag": blob.etag, "x-ms-blob-content-length": str(blob.size)}
    return Answer(raw=list_of_pages(blob.size), headers=headers, content_type=XML)


def _content(call: Call, blob: Blob) -> Answer:
    """Answer a blob, or a part of it; for HEAD all but the content."""
    headers = _blob_headers(blob)
    if call.method == "HEAD":
        return Answer(headers={**headers, "Content-Length": str(blob.size), "Content-Type": "application/octet-stream"})
    if blob.content is None:
        raise errors.no_content()
    asked = _RANGE.fullmatch(call.headers.get("x-ms-range") or call.headers.get("range", ""))
    if asked is None:
        return Answer(raw=blob.content, headers=headers, content_type="application/octet-stream")
    start, end = int(asked[1]), min(int(asked[2] or blob.size), blob.size - 1)
    if start >= blob.size or end < start:
        raise errors.invalid_range()
    headers["Content-Range"] = f"bytes {start}-{end}/{blob.size}"
    content = blob.content[start : end + 1]
    return Answer(status=206, raw=content, headers=headers, content_type="application/octet-stream")


def _blob_headers(blob: Blob) -> dict[str, str]:
    """Return the headers of a blob, as recorded of a job's configuration."""
    return {
        "Accept-Ranges": "bytes",
        "ETag": blob.etag,
        "Last-Modified": http_date(blob.created),
        **({"x-ms-blob-sequence-number": "0"} if blob.kind == "PageBlob" else {}),
        "x-ms-blob-type": blob.kind,
        "x-ms-creation-time": http_date(blob.created),
        "x-ms-lease-state": "available",
        "x-ms-lease-status": "unlocked",
        **{f"x-ms-meta-{name}": value for name, value in blob.metadata.items()},
        "x-ms-server-encrypted": "true",
    }
