"""`#SBATCH` directives and sbatch's options: what a script asks for, before Slurm is asked.

Read as sbatch reads them (22.05 to 25.11): lines that begin with `#SBATCH` up to the first line
that is neither empty nor a comment; words split at blanks, quotes keep them together, a backslash
takes the next character as it is, an unquoted `#` begins a comment. All words form one command
line, so that a value may stand on the next directive line, and an option may be shortened as far
as it stays unique. Not read: `#PBS` lines and `SBATCH_*` variables.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

VALUED = frozenset(
    """
    account acctg-freq array autocomplete batch bb bbf begin chdir cluster cluster-constraint
    clusters comment constraint container container-id context core-spec cores-per-socket cpu-freq
    cpus-per-gpu cpus-per-task deadline delay-boot dependency distribution error exclude export
    export-file extra extra-node-info gid gpu-bind gpu-freq gpus gpus-per-node gpus-per-socket
    gpus-per-task gres gres-flags hint input job-name kill-on-invalid-dep licenses mail-type
    mail-user mcs-label mem mem-bind mem-per-cpu mem-per-gpu mincpus network nodefile nodelist
    nodes ntasks ntasks-per-core ntasks-per-gpu ntasks-per-node ntasks-per-socket ntasks-per-tres
    open-mode output partition power prefer priority profile qos reservation resources segment
    signal sockets-per-node switches tasks-per-node thread-spec threads-per-core time time-min tmp
    tres-bind tres-per-task uid wait-all-nodes wckey wrap
    """.split()  # noqa: SIM905  (a table to be read)
)
"""Options of any sbatch from 22.05 to 25.11 that take a value."""

OPTIONAL = frozenset(
    "exclusive get-user-env nice no-kill oom-kill-step propagate requeue resv-ports".split()  # noqa: SIM905
)
"""Options that take a value only behind `=`."""

FLAGS = frozenset(
    """
    consolidate-segments contiguous external help hold ignore-pbs no-requeue overcommit
    oversubscribe parsable quiet reboot spread-job spread-segments stepmgr test-only usage
    use-min-nodes verbose version wait
    """.split()  # noqa: SIM905
)
"""Options that take no value."""

SHORT = {
    **{"A": "account", "a": "array", "B": "extra-node-info", "b": "begin", "C": "constraint"},
    **{"c": "cpus-per-task", "D": "chdir", "d": "dependency", "e": "error", "F": "nodefile"},
    **{"G": "gpus", "H": "hold", "h": "help", "i": "input", "J": "job-name", "k": "no-kill"},
    **{"L": "licenses", "M": "clusters", "m": "distribution", "N": "nodes", "n": "ntasks"},
    **{"O": "overcommit", "o": "output", "p": "partition", "Q": "quiet", "q": "qos"},
    **{"S": "core-spec", "s": "oversubscribe", "t": "time", "V": "version", "v": "verbose"},
    **{"W": "wait", "w": "nodelist", "x": "exclude"},
}
SAME = {"cluster": "clusters", "tasks-per-node": "ntasks-per-node"}
"""Second names of options."""

HETJOB = "hetjob"
"""Key that a script of several components has; only the first component is read."""

_KNOWN = VALUED | OPTIONAL | FLAGS
_COMPONENT = re.compile(r"\s*(?:hetjob|packjob)(?:\s|$)", re.IGNORECASE)
_CLOCK = re.compile(r"(?:([0-9]{1,6})-)?([0-9]{1,9})(?::([0-9]{1,9}))?(?::([0-9]{1,9}))?")
_Word = tuple[str, str]
"""A word of the command line, behind the place it stands in."""


class DirectiveError(ValueError):
    """Directives or options that cannot be understood; names the line or the option."""


def parse(script: bytes, options: tuple[str, ...] = ()) -> dict[str, str]:
    """Options by long name without dashes: the script's directives, overruled by `options`.

    Flags have the value "". An option that no known sbatch has is kept: its value is what stands
    behind `=`, else the next word unless that begins with a dash, else "". Of a heterogeneous job
    the first component is read, and the key `hetjob` tells so.

    Raises:
        DirectiveError: a quote that does not close, a word that is no option, a value that is
            missing, or a value for a flag.
    """
    words: list[_Word] = []
    found: dict[str, str] = {}
    for number, text in _directives(script):
        if _COMPONENT.match(text):
            found[HETJOB] = ""
            break
        words.extend((f"line {number}", word) for word in _split(text, number))
    given = [(f"option {i}", word) for i, word in enumerate(options, 1)]
    return {**_options(words), **_options(given), **found}


def occurrences(script: bytes) -> tuple[tuple[int, str, str], ...]:
    """Every option of the script's directives as it stands: line, long name, value.

    As `parse`, but nothing is overruled: of an option that stands twice both are told.

    Raises:
        DirectiveError: as `parse`.
    """
    words: list[_Word] = []
    for number, text in _directives(script):
        if _COMPONENT.match(text):
            break
        words.extend((f"line {number}", word) for word in _split(text, number))
    told = _each(words)
    return tuple((int(place.removeprefix("line ")), name, value) for place, name, value in told)


def _directives(script: bytes) -> Iterator[tuple[int, str]]:
    """Line numbers and texts behind the magic word; `#SLURM` is its old spelling."""
    for number, line in enumerate(io.BytesIO(script), 1):
        if line.startswith((b"#SBATCH", b"#SLURM")):
            text = line[7 if line.startswith(b"#SBATCH") else 6 :]
            yield number, text.rstrip(b"\n").decode("utf-8", "surrogateescape")
        elif not line.lstrip().startswith(b"#") and line.strip():
            return


def _split(text: str, number: int) -> Iterator[str]:
    """The words of one line. An empty pair of quotes ends the line, as it does for sbatch."""
    word, quote, escaped, begun = "", "", False, False
    for char in text:
        if escaped or (quote and char not in (quote, "\\")):
            word, escaped = word + char, False
        elif char == "\\":
            escaped = begun = True
        elif quote:
            quote = ""
        elif char in "\"'":
            quote, begun = char, True
        elif char in " \t\n\v\f\r#":
            if word:
                yield word
            if char == "#" or (begun and not word):
                return
            word, begun = "", False
        elif char == ":" and not begun:
            raise DirectiveError(f"line {number}: a word cannot begin with `:`")
        else:
            word, begun = word + char, True
    if quote:
        raise DirectiveError(f"line {number}: the quote {quote} is not closed")
    if word:
        yield word


def _options(words: list[_Word]) -> dict[str, str]:
    return {name: value for _, name, value in _each(words)}


def _each(words: list[_Word]) -> Iterator[tuple[str, str, str]]:
    """The words as getopt_long takes them: place, long name, value."""
    rest = words[::-1]
    while rest:
        place, word = rest.pop()
        if word == "--" and not rest:
            break
        if word.startswith("--") and len(word) > 2:
            name, equals, value = word[2:].partition("=")
            name = full_name(name)
            yield place, name, _long_value(place, name, value if equals else None, rest)
        elif word.startswith("-") and len(word) > 1 and word != "--":
            yield from _short_options(place, word[1:], rest)
        else:
            raise DirectiveError(f"{place}: {quoted(word)} is no option; options begin with `-`")


def full_name(name: str) -> str:
    """The whole name of a long option, which sbatch takes shortened as long as it is clear."""
    if name not in _KNOWN:
        longer = [known for known in _KNOWN if known.startswith(name)]
        name = longer[0] if name and len(longer) == 1 else name
    return SAME.get(name, name)


def _long_value(place: str, name: str, value: str | None, rest: list[_Word]) -> str:
    if name in FLAGS:
        if value is not None:
            raise DirectiveError(f"{place}: --{name} takes no value")
        return ""
    if value is not None:
        return value
    if name in OPTIONAL:
        return ""
    return _next(place, f"--{name}", rest, needed=name in VALUED)


def _short_options(place: str, letters: str, rest: list[_Word]) -> Iterator[tuple[str, str, str]]:
    """`-Jx`, `-J x`, and flags in one word: `-HQ`."""
    for i, letter in enumerate(letters, 1):
        name = SHORT.get(letter, letter)
        if name in FLAGS:
            yield place, name, ""
            continue
        behind = letters[i:]
        if not behind and name not in OPTIONAL:
            behind = _next(place, f"-{letter}", rest, needed=name in VALUED)
        yield place, name, behind
        return


def _next(place: str, option: str, rest: list[_Word], *, needed: bool) -> str:
    if rest and (needed or not rest[-1][1].startswith("-")):
        return rest.pop()[1]
    if needed:
        raise DirectiveError(f"{place}: {option} needs a value")
    return ""


def quoted(text: str) -> str:
    """A word as an error shows it: in quotes, and not at length."""
    return repr(text if len(text) <= 60 else text[:60] + "…")


def time_limit_s(text: str) -> int | None:
    """Seconds in one of Slurm's times; None for no limit (`UNLIMITED`, `INFINITE`, `-1`).

    `30` minutes, `30:00` minutes and seconds, `1:00:00`, `1-0` days and hours, `1-02:03:04`.

    Raises:
        ValueError: anything else.
    """
    if text.casefold() in ("unlimited", "infinite", "-1"):
        return None
    match = _CLOCK.fullmatch(text)
    if match is None:
        raise ValueError(f"time: {quoted(text)} is no time of Slurm's, such as 30 or 1-02:03:04")
    days, first, second, third = (int(group or 0) for group in match.groups())
    if match[1] is None and match[4] is None:  # minutes[:seconds]
        return 60 * first + second
    return 60 * (60 * (24 * days + first) + second) + third
