"""Who may read the page: the address that is listened on, TLS, and the token."""

from __future__ import annotations

import hmac
import ipaddress
import os
import socket
import ssl
import stat
from pathlib import Path

TOKEN_MIN = 16
TOKEN_MAX = 4096


class Unusable(Exception):
    """Something that was given cannot be used; the words say what, why and what to do."""


class Access:
    """The token and the certificates, read anew by `load`.

    Args:
        token_file: file of the bearer token; None where none is asked for.
        cert, key: certificate chain and private key (PEM) for TLS; both or none.
        client_ca: certificates (PEM) that clients must be signed by (mTLS).

    Raises:
        Unusable: a file cannot be used.
    """

    def __init__(
        self,
        token_file: str | None = None,
        cert: str | None = None,
        key: str | None = None,
        client_ca: str | None = None,
    ) -> None:
        if (cert is None) != (key is None):
            raise Unusable("--tls-cert and --tls-key go together; give both")
        if client_ca is not None and cert is None:
            raise Unusable("--client-ca needs --tls-cert and --tls-key")
        self._token_file, self._cert, self._key, self._ca = token_file, cert, key, client_ca
        self._token: bytes | None = None
        self.tls: ssl.SSLContext | None = None
        self.load()

    def load(self) -> None:
        """Read the files; on `Unusable` the ones before stay in force."""
        token = None if self._token_file is None else read_token(self._token_file)
        self.tls = None if self._cert is None else self._context()
        self._token = token

    @property
    def checked(self) -> bool:
        """Whether whoever reads must show who he is."""
        return self._token is not None or self._ca is not None

    def allows(self, authorization: str) -> bool:
        """Whether this value of the Authorization header is right; the certificate was before."""
        if self._token is None:
            return True
        scheme, _, token = authorization.partition(" ")
        right = hmac.compare_digest(token.strip().encode("latin-1", "replace"), self._token)
        return right and scheme.lower() == "bearer"

    def _context(self) -> ssl.SSLContext:
        assert self._cert is not None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        asked = f"--tls-cert {self._cert}, --tls-key {self._key}"
        try:
            # without a password nobody is asked for one at the terminal
            context.load_cert_chain(self._cert, self._key, password="")
            if self._ca is not None:
                asked = f"--client-ca {self._ca}"
                context.load_verify_locations(self._ca)
                context.verify_mode = ssl.CERT_REQUIRED
        except (OSError, ValueError) as error:
            words = getattr(error, "strerror", None) or error
            raise Unusable(f"{asked}: {words}; PEM files without a password are needed") from error
        return context


def read_token(name: str) -> bytes:
    """The token in a file that nobody else can read.

    systemd shows the files of LoadCredential= with the bits of an access list, so in its folder
    the bits say nothing.

    Raises:
        Unusable: not a file of this user or root with mode 0600 or less, or no token in it.
    """
    asked = f"--token-file {name}"
    try:
        opened = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        what = "it is a symbolic link" if Path(name).is_symlink() else error.strerror
        raise Unusable(f"{asked}: {what}") from error
    with os.fdopen(opened, "rb") as file:
        info = os.fstat(file.fileno())
        if not stat.S_ISREG(info.st_mode):
            raise Unusable(f"{asked}: it is no regular file")
        if info.st_uid not in (0, os.geteuid()):
            raise Unusable(f"{asked}: it belongs to uid {info.st_uid}, not to {os.geteuid()}")
        by_systemd = os.environ.get("CREDENTIALS_DIRECTORY")
        if info.st_mode & 0o077 and Path(name).parent != Path(by_systemd or "/dev/null"):
            mode = stat.S_IMODE(info.st_mode)
            raise Unusable(f"{asked}: others can read it (mode {mode:04o}); chmod 600 {name}")
        token = file.read(TOKEN_MAX + 1).strip()
    if not TOKEN_MIN <= len(token) <= TOKEN_MAX or not token.isascii() or len(token.split()) != 1:
        raise Unusable(
            f"{asked}: a token is one word of {TOKEN_MIN} to {TOKEN_MAX} ASCII characters; make one"
            f" with: (umask 077; openssl rand -hex 32 > {name})"
        )
    return token


def listener(listen: str, access: Access, *, insecure: bool) -> socket.socket:
    """The socket that `HOST:PORT` or `[ADDRESS]:PORT` names, listening.

    Raises:
        Unusable: it is no address, it cannot be bound, or others could reach it unprotected.
    """
    host, colon, port = listen.rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise Unusable(f"--listen {listen}: HOST:PORT is needed, for example 127.0.0.1:9470")
    try:
        found = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
        family, _, _, _, address = found[0]
        safe = ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback
        if not safe and not insecure and (access.tls is None or not access.checked):
            raise Unusable(
                f"--listen {listen}: other hosts can reach {address[0]}, so --tls-cert, --tls-key "
                "and --token-file (or --client-ca) are needed; --insecure does without"
            )
        sock = socket.create_server((str(address[0]), int(port)), family=family, backlog=64)
    except OSError as error:
        raise Unusable(f"--listen {listen}: {error.strerror or error}") from error
    except UnicodeError as error:  # the codec of host names, at an empty or too long part of one
        raise Unusable(f"--listen {listen}: {host} is no host name") from error
    sock.setblocking(False)
    return sock
