"""A batch script as sbatch reads it: its options with their lines, and the program behind them.

Lines that sbatch does not read are kept too, so that nothing goes unsaid: `#SBATCH` behind the
first command, the components of a heterogeneous job, directives of other schedulers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from foundry_tui.estate.text import safe
from foundry_tui.jobs.shelltext import is_shell
from foundry_tui.migration.nouns import Class, Finding, Kind
from foundry_tui.schedulers.slurm.directives import DirectiveError, occurrences

MAX_BYTES = 4 << 20
"""Slurm's own cap on a script (`max_script_size`)."""

_COMPONENT = re.compile(rb"#SBATCH\s*(?:hetjob|packjob)(?:\s|$)", re.IGNORECASE)
_FOREIGN = re.compile(rb"#(?:PBS|BSUB|\$ -|COBALT|MSUB|OAR)")
_HEAD = (b"#SBATCH", b"#SLURM")
_NEARLY = re.compile(rb"\s+#SBATCH|#+\s+SBATCH|##SBATCH|#sbatch", re.IGNORECASE)


class ScriptError(ValueError):
    """A file of which nothing can be made; says why, and the line where one is to blame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """One option as it stands: its line, its long name, its value ("" for a flag)."""

    line: int
    name: str
    value: str

    @property
    def words(self) -> str:
        """The option as a directive says it."""
        return f"--{self.name}={self.value}" if self.value else f"--{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """`body` is the program without its directives, its first line being `first_line` of the file.

    `shebang` is the first line behind `#!`; None where there is none. `is_shell` says that a shell
    of Bourne's kind runs it. `findings` are about the file itself.
    """

    shebang: str | None
    is_shell: bool
    options: tuple[Given, ...]
    body: str
    first_line: int
    findings: tuple[Finding, ...]


def read(data: bytes) -> Script:
    """The script in a file. Nothing of it is run.

    Raises:
        ScriptError: empty, too large, no text, or a directive that sbatch would not take.
    """
    _check(data)
    findings: list[Finding] = []
    if b"\r" in data:
        count = data.count(b"\r\n")
        data = data.replace(b"\r\n", b"\n")
        if count:
            findings.append(
                _file(
                    1,
                    "line ends",
                    f"{count} lines end as on DOS",
                    "lines that end as on Unix",
                    "sbatch refuses a script with DOS line breaks; read as if they were not there",
                    Class.APPROXIMATED,
                )
            )
    data = data.removeprefix(b"\xef\xbb\xbf") if _marked(data, findings) else data
    try:
        options = tuple(Given(line=n, name=o, value=v) for n, o, v in occurrences(data))
    except DirectiveError as error:
        raise ScriptError(f"sbatch would refuse it: {error}") from None
    lines = data.splitlines(keepends=True)
    end = _head_end(lines)
    findings += _unread(lines, end)
    shebang = _shebang(lines, findings)
    text = _decoded(b"".join(lines[end:]), end, findings)
    first = lines[0].decode("utf-8", "replace") if lines else ""
    return Script(
        shebang=shebang,
        is_shell=shebang is None or is_shell(first),
        options=options,
        body=text,
        first_line=end + 1,
        findings=tuple(findings),
    )


def _check(data: bytes) -> None:
    if not data.strip():
        raise ScriptError("empty: nothing to translate")
    if len(data) > MAX_BYTES:
        size = len(data) / (1 << 20)
        raise ScriptError(f"has {size:.1f} MiB; Slurm takes scripts up to {MAX_BYTES >> 20} MiB")
    if b"\0" in data:
        raise ScriptError("holds NUL bytes: a binary file, no batch script")


def _marked(data: bytes, findings: list[Finding]) -> bool:
    """Whether it begins with a byte order mark, which hides the `#!` behind it."""
    if not data.startswith(b"\xef\xbb\xbf"):
        return False
    why = "sbatch does not see the #! behind it and refuses the script"
    findings.append(_file(1, "byte order mark", "U+FEFF", "taken away", why, Class.APPROXIMATED))
    return True


def _head_end(lines: list[bytes]) -> int:
    """How many lines stand before the first command."""
    for number, line in enumerate(lines):
        if line.strip() and not line.lstrip().startswith(b"#"):
            return number
    return len(lines)


def _shebang(lines: list[bytes], findings: list[Finding]) -> str | None:
    first = lines[0].rstrip(b"\n").decode("utf-8", "replace") if lines else ""
    if not first.startswith("#!"):
        why = "sbatch refuses a script whose first line has no #!; read as one of /bin/sh"
        findings.append(_file(1, "#!", first, "#!/bin/sh", why, Class.APPROXIMATED))
        return None
    words = first[2:].split()
    if any(word in ("-l", "--login", "-il", "-li") for word in words[1:]):
        why = "a login shell reads the profile of its host; in a container that of the image"
        findings.append(_file(1, "#!", first, first, why, Class.APPROXIMATED))
    if not is_shell(first):
        why = "no shell of Bourne's kind: its program was not looked at, only its directives"
        findings.append(_file(1, "#!", first, first, why, Class.MANUAL))
    return first[2:].strip()


def _unread(lines: list[bytes], end: int) -> list[Finding]:
    """Directives that sbatch does not read, and those that only look like some."""
    found: list[Finding] = []
    component = False
    for number, line in enumerate(lines, 1):
        text = line.rstrip(b"\n")
        if number > end:
            if text.startswith(_HEAD):
                why = "behind the first command: Slurm ignores it, and so is it here"
                found.append(_ignored(number, text, why))
        elif _COMPONENT.match(text):
            component = True
            why = "a job of several components, each with its own resources, has no counterpart"
            found.append(
                _finding(number, Kind.DIRECTIVE, "hetjob", text, "not translated", why, Class.LOST)
            )
        elif component and text.startswith(_HEAD):
            why = "of a further component of a heterogeneous job"
            found.append(
                _finding(number, Kind.DIRECTIVE, "hetjob", text, "not translated", why, Class.LOST)
            )
        elif _FOREIGN.match(text):
            found.append(_ignored(number, text, "a directive of another scheduler"))
        elif not text.startswith(_HEAD) and _NEARLY.match(text):
            found.append(_ignored(number, text, "Slurm reads #SBATCH at the begin of a line alone"))
    return found


def _decoded(body: bytes, before: int, findings: list[Finding]) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        line = before + body.count(b"\n", 0, error.start) + 1
        why = "no UTF-8 text, which a job spec and a request have to be; the bytes are replaced"
        shown = body[error.start : error.start + 1].hex()
        findings.append(_file(line, "encoding", f"the byte 0x{shown}", "U+FFFD", why, Class.MANUAL))
        return body.decode("utf-8", "replace")


def _ignored(line: int, words: bytes, why: str) -> Finding:
    name = words.lstrip(b"# \t").partition(b" ")[0].decode("utf-8", "replace")
    return _finding(line, Kind.IGNORED, f"#{name}", words, "ignored", why, Class.OK)


def _file(line: int, name: str, words: str, became: str, why: str, klass: Class) -> Finding:
    return _finding(line, Kind.FILE, name, words, became, why, klass)


def _finding(
    line: int, kind: Kind, name: str, words: str | bytes, became: str, why: str, klass: Class
) -> Finding:
    return Finding(
        line=line,
        kind=kind,
        name=safe(name),
        words=safe(words),
        became=safe(became),
        why=safe(why, max_cells=600),
        klass=klass,
    )
