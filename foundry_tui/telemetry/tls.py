"""The TLS of a source of readings: whom it trusts, and what it shows of itself."""

from __future__ import annotations

import os
import ssl

from foundry_tui.config.owned import OTHERS_ANY, open_own
from foundry_tui.config.sources import TelemetryConfig
from foundry_tui.estate.text import safe


class TlsError(Exception):
    """A certificate or key of the configuration cannot be used; the message names it."""

    def __init__(self, words: str) -> None:
        super().__init__(safe(words, max_cells=400))


def context(config: TelemetryConfig) -> ssl.SSLContext:
    """TLS 1.2 or newer with the authorities of the system, or `ca_file` alone where it is set.

    Raises:
        TlsError: a file is missing, is no certificate, or the key can be read by others.
    """
    try:
        made = ssl.create_default_context(cafile=_path(config.ca_file))
    except (OSError, ssl.SSLError) as error:
        raise TlsError(
            f"ca_file {config.ca_file} cannot be used: {_why(error)}; set it to a PEM file with "
            "the authority's certificate"
        ) from None
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    if config.client_cert is None:
        return made
    key = config.client_key or config.client_cert
    try:
        os.close(open_own(key, OTHERS_ANY, follow=True))
    except OSError as error:
        raise TlsError(
            f"client_key {key} cannot be used: {_why(error)}; it must be a file of yours with "
            "mode 0600"
        ) from None
    try:
        # An empty password: without one OpenSSL would ask for it on the terminal.
        made.load_cert_chain(str(config.client_cert), str(key), password="")
    except (OSError, ssl.SSLError) as error:
        raise TlsError(
            f"client_cert {config.client_cert} with client_key {key} cannot be used: "
            f"{_why(error)}; both must be PEM, belong together, and the key have no password"
        ) from None
    return made


def _path(path: os.PathLike[str] | None) -> str | None:
    return None if path is None else os.fspath(path)


def _why(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return error.reason or "it is no PEM file"
    return error.strerror or str(error) or type(error).__name__
