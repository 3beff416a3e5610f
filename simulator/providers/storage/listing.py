"""The lists of containers and blobs, which are XML."""

from __future__ import annotations

from datetime import UTC
from email.utils import format_datetime
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement, tostring

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from simulator.providers.storage.staging import Blob

XML = "application/xml"


def http_date(moment: datetime) -> str:
    """Return a time as headers and lists have it."""
    return format_datetime(moment.astimezone(UTC).replace(microsecond=0), usegmt=True)


def list_of_containers(endpoint: str, containers: Mapping[str, datetime]) -> bytes:
    """Write the containers of an account, with the times of their making."""
    root = Element("EnumerationResults", ServiceEndpoint=endpoint)
    parent = SubElement(root, "Containers")
    for name, created in containers.items():
        container = SubElement(parent, "Container")
        SubElement(container, "Name").text = name
        _add(SubElement(container, "Properties"), {"Last-Modified": http_date(created), **_LEASE})
    SubElement(root, "NextMarker")
    return _document(root)


def list_of_blobs(
    endpoint: str, container: str, blobs: Sequence[Blob], query: Mapping[str, str], next_marker: str
) -> bytes:
    """Write a page of the blobs of a container, and by which marker the next begins."""
    root = Element("EnumerationResults", ServiceEndpoint=endpoint, ContainerName=container)
    _add(root, {name.capitalize(): query[name] for name in ("prefix", "marker") if query.get(name)})
    if "maxresults" in query:
        SubElement(root, "MaxResults").text = query["maxresults"]
    parent = SubElement(root, "Blobs")
    for blob in blobs:
        _add_blob(parent, blob, with_metadata="metadata" in query.get("include", ""))
    SubElement(root, "NextMarker").text = next_marker or None
    return _document(root)


def list_of_pages(size: int) -> bytes:
    """Write the one range of pages that a page blob of this size has."""
    root = Element("PageList")
    _add(SubElement(root, "PageRange"), {"Start": "0", "End": str(size - 1)})
    return _document(root)


_LEASE = {"LeaseStatus": "unlocked", "LeaseState": "available"}


def _add_blob(parent: Element, blob: Blob, *, with_metadata: bool) -> None:
    element = SubElement(parent, "Blob")
    SubElement(element, "Name").text = blob.name
    kind = {"x-ms-blob-sequence-number": "0"} if blob.kind == "PageBlob" else {}
    tier = {"AccessTier": "Hot", "AccessTierInferred": "true"} if blob.kind == "BlockBlob" else {}
    properties = {
        "Creation-Time": http_date(blob.created),
        "Last-Modified": http_date(blob.created),
        "Etag": blob.etag.strip('"'),
        "Content-Length": str(blob.size),
        "Content-Type": "application/octet-stream",
        **kind,
        "BlobType": blob.kind,
        **tier,
        **_LEASE,
        "ServerEncrypted": "true",
    }
    _add(SubElement(element, "Properties"), properties)
    if with_metadata:
        _add(SubElement(element, "Metadata"), blob.metadata)


def _add(parent: Element, texts: Mapping[str, str]) -> None:
    for name, text in texts.items():
        SubElement(parent, name).text = text


def _document(root: Element) -> bytes:
    return b'\xef\xbb\xbf<?xml version="1.0" encoding="utf-8"?>' + tostring(root)
