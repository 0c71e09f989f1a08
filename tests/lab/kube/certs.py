"""Certificates of the lab by openssl: one authority, the servers' and the administrator's."""

import subprocess
from pathlib import Path

_DAYS = "3650"


def make(folder: Path, webhook: Path) -> None:
    """Write ca, apiserver and admin certificates, the key of service accounts, and `webhook`'s."""
    folder.mkdir(parents=True, exist_ok=True)
    webhook.mkdir(parents=True, exist_ok=True)
    _key(folder / "ca.key")
    _openssl(
        *("req", "-x509", "-new", "-key", str(folder / "ca.key"), "-subj", "/CN=foundry-lab"),
        *("-days", _DAYS, "-out", str(folder / "ca.crt")),
    )
    names = "subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:kubernetes.default.svc"
    signed(folder, "apiserver", "/CN=kube-apiserver", names)
    signed(folder, "admin", "/O=system:masters/CN=lab-admin", "extendedKeyUsage=clientAuth")
    signed(folder, "tls", "/CN=kai-admission", "subjectAltName=IP:127.0.0.1")
    for name in ("tls.crt", "tls.key"):
        (folder / name).rename(webhook / name)
    _key(folder / "sa.key")
    _openssl("rsa", "-in", str(folder / "sa.key"), "-pubout", "-out", str(folder / "sa.pub"))


def signed(folder: Path, name: str, subject: str, extension: str) -> None:
    """A key and a certificate of the lab's authority."""
    _key(folder / f"{name}.key")
    request, extensions = folder / "request.pem", folder / "extensions.cnf"
    _openssl(
        *("req", "-new", "-key", str(folder / f"{name}.key"), "-subj", subject),
        *("-out", str(request)),
    )
    extensions.write_text(extension + "\n")
    _openssl(
        *("x509", "-req", "-in", str(request), "-CA", str(folder / "ca.crt")),
        *("-CAkey", str(folder / "ca.key"), "-CAcreateserial", "-days", _DAYS),
        *("-extfile", str(extensions), "-out", str(folder / f"{name}.crt")),
    )


def _key(path: Path) -> None:
    _openssl("genrsa", "-out", str(path), "2048")
    path.chmod(0o600)


def _openssl(*argv: str) -> None:
    subprocess.run(["openssl", *argv], check=True, capture_output=True, timeout=60)
