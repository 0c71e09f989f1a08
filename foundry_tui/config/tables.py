"""From TOML tables to the records of `config.model`, with errors that say what to mend."""

from __future__ import annotations

import difflib
import json
import math
import re
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

from foundry_tui.config.errors import ConfigError
from foundry_tui.config.model import Config
from foundry_tui.config.sources import TelemetryConfig

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""A source's name. No slash: a run's id is `source/native`."""

_NAME_RULE = "a name of letters, digits, '.', '_' and '-', at most 64, a letter or digit first"
_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Tables:
    """Reads the tables of one file. Remarks are added to `warnings`; `root` is the whole file."""

    path: Path
    home: Path
    warnings: list[str]
    root: type[Any] = Config

    def config(self, document: dict[str, object]) -> Config:
        """The whole file as a `Config`.

        Raises:
            ConfigError: a key is unknown or missing, or a value has a wrong type or range.
        """
        config = self._record(Config, document, "")
        assert isinstance(config, Config)
        seen: dict[str, str] = {}
        for option in fields(Config):
            sources = "named" in option.metadata and not option.metadata.get("apart")
            for source in getattr(config, option.name) if sources else ():
                where = f"{option.name}.{source.name}"
                if source.name in seen:
                    problem = f"the name of {seen[source.name]}"
                    raise self._error(where, problem, "a name that no other source has")
                seen[source.name] = where
        for feed in config.telemetry:
            self._check_telemetry(feed)
        return config

    def whole(self, document: dict[str, object]) -> Any:
        """The whole file as a record of `root`, without rules between its tables.

        Raises:
            ConfigError: a key is unknown or missing, or a value has a wrong type or range.
        """
        return self._record(self.root, document, "")

    def _record(
        self, cls: type[Any], table: dict[str, object], where: str, *, name: str | None = None
    ) -> Any:
        options = {f.name: f for f in fields(cls) if f.name != "name"}
        for key in table:
            if key not in options:
                raise self._unknown(where, key, list(options))
        values: dict[str, object] = {} if name is None else {"name": name}
        hints = get_type_hints(cls)
        for key, option in options.items():
            if key in table:
                values[key] = self._value(option, hints[key], table[key], _join(where, key))
            elif option.default is MISSING and option.default_factory is MISSING:
                raise self._error(_join(where, key), "nothing", _wanted(option, _base(hints[key])))
        return cls(**values)

    def _value(self, option: Field[Any], hint: Any, value: object, where: str) -> object:
        named = "named" in option.metadata
        if named or option.default_factory is not MISSING:
            if not isinstance(value, dict):
                header = f"{where}.NAME" if named else where
                raise self._error(where, _describe(value), f"a table, [{header}]")
            if named:
                return self._sources(get_args(hint)[0], value, where)
            return self._record(hint, value, where)
        if "pairs" in option.metadata:
            return self._pairs(value, where)
        if get_origin(hint) is tuple:
            return self._texts(option, value, where)
        return self._plain(option, _base(hint), value, where)

    def _sources(self, cls: type[Any], table: dict[str, object], where: str) -> object:
        sources = []
        for name, body in table.items():
            if not isinstance(body, dict):
                raise self._error(_join(where, name), _describe(body), f"a table, [{where}.NAME]")
            if not NAME.fullmatch(name):
                raise self._error(where, f"the name {json.dumps(name)}", _NAME_RULE)
            sources.append(self._record(cls, body, _join(where, name), name=name))
        return tuple(sources)

    def _pairs(self, value: object, where: str) -> tuple[tuple[str, str], ...]:
        if not isinstance(value, dict):
            raise self._error(where, _describe(value), f"a table, [{where}]")
        for name, text in value.items():
            if not isinstance(text, str) or not text or _CONTROL.search(text):
                raise self._error(_join(where, name), _describe(text), "text in quotes")
        return tuple(value.items())

    def _texts(self, option: Field[Any], value: object, where: str) -> tuple[str, ...]:
        words = option.metadata.get("words", ())
        if value == "all" and words:
            return ("all",)
        if isinstance(value, list) and (value or words):
            texts = [v for v in value if isinstance(v, str) and not _CONTROL.search(v)]
            if len(texts) == len(value):
                for text in texts if words else ():
                    if text not in words:
                        raise self._unknown(where, text, list(words), "an unknown act")
                return tuple(texts)
        expected = 'a list of texts, ["program", "argument"]'
        raise self._error(where, _found(option, value), expected)

    def _plain(self, option: Field[Any], kind: Any, value: object, where: str) -> object:
        wrong = self._error(where, _found(option, value), _wanted(option, kind))
        if kind is bool:
            if isinstance(value, bool):
                return value
            raise wrong
        if kind is float:
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise wrong
            return self._number(option, value, where, wrong)
        if not isinstance(value, str) or not value or _CONTROL.search(value):
            raise wrong
        if kind is Path:
            return self._file(value, wrong)
        if value not in option.metadata.get("choices", (value,)):
            raise wrong
        if option.metadata.get("url"):
            self._check_url(value, where)
        return value

    def _number(self, option: Field[Any], value: float, where: str, wrong: ConfigError) -> float:
        rules = option.metadata
        try:
            number = float(value)
        except OverflowError:
            raise wrong from None
        least, most = rules.get("least", 0.0), rules.get("most", math.inf)
        if not (math.isfinite(number) and least <= number <= most):
            raise wrong
        floor: float = rules.get("floor", 0.0)
        if number < floor:
            self.warnings.append(
                f"{self.path}: {where}: {number:g} is below the floor, {floor:g} is used"
            )
        return max(number, floor)

    def _file(self, value: str, wrong: ConfigError) -> Path:
        if value.startswith("~/"):
            return self.home / value[2:]
        if not value.startswith("/"):
            raise wrong
        return Path(value)

    def _check_url(self, value: str, where: str) -> None:
        expected = "an address such as https://host.example.org"
        try:
            parts = urlsplit(value)
            bad = parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0
        except ValueError:
            raise self._error(where, "an address that cannot be read", expected) from None
        if parts.username is not None or parts.password is not None:
            problem = "a user name or password in the address"
            raise self._error(where, problem, "an address without them, and a credential file")
        if bad or any(c.isspace() for c in value):
            raise self._error(where, _describe(value), expected)

    def _check_telemetry(self, feed: TelemetryConfig) -> None:
        where = f"telemetry.{feed.name}"
        url, listed = feed.url, feed.targets_file is not None
        if feed.kind == "prometheus" and url is None:
            raise self._error(f"{where}.url", "nothing", "the address of the Prometheus server")
        if feed.kind in ("agents", "dcgm"):
            if url is None and not listed:
                raise self._error(f"{where}.url", "nothing", "a url with {node}, or a targets_file")
            if url is not None and "{node}" not in url:
                wanted = "{node} where the node's name goes"
                raise self._error(f"{where}.url", _describe(url), wanted)
        if (feed.client_cert is None) != (feed.client_key is None):
            missing = "client_key" if feed.client_key is None else "client_cert"
            raise self._error(f"{where}.{missing}", "nothing", "certificate and key together")
        for label in feed.match:
            if not _LABEL.fullmatch(label.partition("=")[0]) or "=" not in label:
                raise self._error(f"{where}.match", _describe(label), "labels as name=value")

    def _unknown(
        self, where: str, key: str, known: list[str], what: str = "an unknown key"
    ) -> ConfigError:
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.7)
        tables = [] if where or near else _tables_with(self.root, key)
        if tables:
            return self._error(key, "it outside of its table", f"it below {' or '.join(tables)}")
        expected = f'"{near[0]}", the nearest name' if near else f"one of {', '.join(known)}"
        return self._error(_join(where, key), what, expected)

    def _error(self, key: str, found: str, expected: str) -> ConfigError:
        return ConfigError(self.path, key, found, expected)


def _tables_with(root: type[Any], key: str) -> list[str]:
    """The tables that have an option of this name, as they are written in the file."""
    hints = get_type_hints(root)
    found = []
    for option in fields(root):
        named = "named" in option.metadata
        record = get_args(hints[option.name])[0] if named else hints[option.name]
        if is_dataclass(record) and key in {f.name for f in fields(record)} - {"name"}:
            found.append(f"[{option.name}.NAME]" if named else f"[{option.name}]")
    return found


def _base(hint: Any) -> Any:
    """The type of an option that may be left out: `float` of `float | None`."""
    return next((kind for kind in get_args(hint) if kind is not type(None)), hint)


def _join(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _found(option: Field[Any], value: object) -> str:
    """What stands in the file, without the value where that could be a secret."""
    if option.metadata.get("private") and not isinstance(value, list | dict):
        return f"a {type(value).__name__} that does not fit"
    return _describe(value)


def _describe(value: object) -> str:
    """What stands in the file, in words and not at length."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str):
        return f"the text {json.dumps(value[:60], ensure_ascii=False)}"
    if isinstance(value, bool):
        return "true" if value else "false"
    try:
        return f"the number {value:g}" if isinstance(value, int | float) else "a date or time"
    except OverflowError:
        return "a number that is too large"


def _wanted(option: Field[Any], kind: Any) -> str:
    """What should stand there, in words."""
    rules = option.metadata
    if "choices" in rules:
        return "one of " + ", ".join(f'"{c}"' for c in rules["choices"])
    if kind is bool:
        return "true or false"
    if kind is float:
        least = f"a number of at least {rules.get('least', 0.0):g}"
        return f"{least} and at most {rules['most']:g}" if "most" in rules else least
    if kind is Path:
        return "an absolute path, or one that starts with ~/"
    if rules.get("url"):
        return f'an address in quotes, "{rules["example"]}"'
    return "text in quotes"
