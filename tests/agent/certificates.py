"""A certificate authority for a test: certificates that are valid, and one that has expired."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

CONFIG = """
[ca]
default_ca = own
[own]
database = {folder}/index.txt
new_certs_dir = {folder}
rand_serial = yes
default_md = sha256
policy = any
x509_extensions = leaf
unique_subject = no
[any]
commonName = supplied
[leaf]
subjectAltName = IP:127.0.0.1
"""


@dataclass(frozen=True, slots=True)
class Authority:
    """A folder with the authority's own certificate `ca.pem`."""

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> Authority:
        """A new authority in an empty folder."""
        (folder / "index.txt").touch()
        (folder / "openssl.cnf").write_text(CONFIG.format(folder=folder))
        made = cls(folder)
        made._openssl(
            *("req", "-x509", *made._key("ca"), "-days", "2", "-subj", "/CN=test authority"),
            *("-out", str(made.ca)),
        )
        return made

    @property
    def ca(self) -> Path:
        return self.folder / "ca.pem"

    def sign(self, name: str, *, expired: bool = False) -> tuple[Path, Path]:
        """A certificate for 127.0.0.1 and its key."""
        request, cert = self.folder / f"{name}.csr", self.folder / f"{name}.pem"
        self._openssl("req", "-new", *self._key(name), "-subj", f"/CN={name}", "-out", str(request))
        dates = ("-startdate", "200101000000Z", "-enddate", "200102000000Z") if expired else ()
        self._openssl(
            *("ca", "-batch", "-notext", "-config", str(self.folder / "openssl.cnf")),
            *("-cert", str(self.ca), "-keyfile", str(self.folder / "ca.key")),
            *("-in", str(request), "-out", str(cert), *(dates or ("-days", "1"))),
        )
        return cert, self.folder / f"{name}.key"

    def _key(self, name: str) -> tuple[str, ...]:
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
        return (*curve, "-nodes", "-keyout", str(self.folder / f"{name}.key"))

    @staticmethod
    def _openssl(*args: str) -> None:
        done = subprocess.run(["openssl", *args], capture_output=True, check=False, text=True)
        assert done.returncode == 0, done.stderr
