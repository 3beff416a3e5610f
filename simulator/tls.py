"""A certificate for servers on loopback, made anew at each start."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import trustme

if TYPE_CHECKING:
    from pathlib import Path

HOSTS = ("127.0.0.1", "localhost", "*.blob.localhost")


def loopback_tls(certificate: Path) -> ssl.SSLContext:
    """Return a context for a server at one of ``HOSTS``.

    Clients must trust the certificate that is written to the given file as PEM. The key stays in this process. Raises
    ``OSError`` when the file cannot be written.
    """
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*HOSTS).configure_cert(context)
    authority.cert_pem.write_to_path(str(certificate))
    return context
