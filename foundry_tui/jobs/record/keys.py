"""Which files hold secrets, as far as their names and their text tell. Pure."""

from __future__ import annotations

import re

_NAMES = re.compile(
    rb"""(?xi) ^(?:
      \.env | \.env\.(?!example$|sample$|template$|dist$).+ | .*\.env
    | id_(?:rsa|dsa|ecdsa|ed25519)(?:_sk)?(?:\..*)?(?<!\.pub)
    | .*\.(?:pem|key|p12|pfx|jks|keystore|kdbx|ppk|gpg|asc|ovpn)
    | \.netrc | _netrc | \.pgpass | \.npmrc | \.pypirc | \.git-credentials | \.htpasswd
    | \.dockerconfigjson | kubeconfig | .*\.kubeconfig
    | (?:.*[._-])?(?:credentials?|secrets?|passwords?|token)
      (?:\.(?:json|ya?ml|toml|ini|cfg|txt|env))?
    | service[._-]?account.*\.json
    )$"""
)
_PRIVATE = re.compile(rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----")


def looks_like_key(path: bytes) -> bool:
    """Whether a file of this name is likely to hold a key or a password."""
    return _NAMES.match(path.rpartition(b"/")[2]) is not None


def holds_key(text: bytes) -> bool:
    """Whether a private key stands in a text."""
    return _PRIVATE.search(text) is not None
