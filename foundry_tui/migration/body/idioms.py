"""Idioms of batch scripts: modules, environments, meeting points, Slurm's own commands, traps."""

from __future__ import annotations

import re

from foundry_tui.jobs.render import SECRET
from foundry_tui.jobs.spec import Launcher
from foundry_tui.migration.body.edits import Body
from foundry_tui.migration.body.lexer import Command
from foundry_tui.migration.nouns import Class
from foundry_tui.migration.secret import places

_SLURM = frozenset(
    """
    scontrol squeue sbatch scancel sacct sinfo sstat sattach salloc sbcast sreport sprio sacctmgr
    strigger sshare
    """.split()  # noqa: SIM905  (a table to be read)
)
_RUNTIMES = frozenset(("docker", "podman", "enroot", "shifter", "ch-run"))
_HOST = frozenset(("ssh", "pdsh", "clush", "sudo", "mail", "mailx", "sendmail", "lfs"))
"""Programs that a node of a cluster has, and few images."""
_MODULE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./+@-]{0,199}")
_INIT = re.compile(r"(?:modules|lmod|module)[\w.-]*(?:/init/\w+|\.sh)$|/etc/profile$|/init/bash$")
_CONDA_INIT = re.compile(r"conda(?:\.sh)?(?:\"|'|$)|conda shell\.")
_CONDAS = frozenset(("conda", "mamba", "micromamba"))
_MEETING = {
    "MASTER_ADDR": "localhost",
    "MASTER_PORT": "29500",
    "WORLD_SIZE": "1",
    "RANK": "0",
    "LOCAL_RANK": "0",
    "NODE_RANK": "0",
}
"""Variables that tell processes of each other, and what holds where nobody sets them."""


def idioms(body: Body) -> None:
    """Say what becomes of each idiom, and change the program to it."""
    for command in body.lexed.commands:
        if not command.inside:
            _modules(body, command)
            _environments(body, command)
            _traps(body, command)
            _secrets(body, command)
        _of_host(body, command)
    _keys(body)
    _meeting(body)
    for command in body.commands:
        if command.name in _SLURM:
            _slurm(body, command)


def _modules(body: Body, command: Command) -> None:
    words = [word.text or word.raw for word in command.words[1:]]
    if command.name not in ("module", "ml"):
        return None
    verb = words[0] if words and command.name == "module" else "load"
    if command.name == "ml" and words[:1] and words[0] in ("load", "purge", "use", "list"):
        verb = words[0]
    names = [w for w in words if w not in (verb, "add") and not w.startswith("-")]
    body.drop(command)
    if verb not in ("load", "add"):
        manual = verb in ("use", "swap", "switch")
        why = "a folder of modules of the host" if manual else "there are no modules in a container"
        klass = Class.MANUAL if manual else Class.OK
        return body.tell(command, "module", "dropped", why, klass)
    table = dict(body.draft.tables.modules)
    known = [name for name in names if _MODULE.fullmatch(name)]
    if not command.blocks:
        had = body.draft.fields.get("modules", ())
        body.draft.fields["modules"] = tuple(dict.fromkeys((*had, *known)))
    missing = [name for name in names if name not in table]
    body.draft.images += [table[name] for name in names if table.get(name)]
    if missing or not names:
        why = f"has to be in the image: {', '.join(missing)}; say so in [modules] of the tables"
        kept = bool(known) and not command.blocks
        became = "modules, on Slurm alone" if kept else "dropped"
        return body.tell(command, "module", became, why, Class.MANUAL)
    images = [table[name] for name in names if table[name]]
    became = f"image: {images[-1]}" if images else "in the image"
    return body.tell(command, "module", became, "what the tables say of it", Class.TABLE)


def _environments(body: Body, command: Command) -> None:
    words = [word.text or word.raw for word in command.words]
    if not words:
        return None
    name = (words[0] or "").rpartition("/")[2]
    whole = " ".join(words)
    activates = name in _CONDAS and words[1:2] == ["activate"]
    if activates or (name in ("source", ".") and words[1:2] == ["activate"]):
        return _conda(body, command, words[-1])
    if name in ("source", ".", "eval") and _CONDA_INIT.search(whole):
        why = "sets up conda as it lies on the host: an image brings its own"
        return body.tell(command, "conda", "kept", why, Class.MANUAL)
    if name not in ("source", ".") or len(words) < 2:
        return None
    path = words[1]
    if _INIT.search(path):
        body.drop(command)
        why = "defines `module`, which there is not in a container"
        return body.tell(command, name, "dropped", why, Class.OK)
    place = path if path.startswith(("/", "$HOME", "~")) else body.draft.fields.get("workdir", "")
    mount = body.draft.tables.mount_of(
        str(place).replace("~", "$HOME", 1).replace("${HOME}", "$HOME")
    )
    if mount is not None and place:
        why = f"lies on {mount.target}, which is mounted; its interpreter has to be in the image"
        return body.tell(command, name, "kept", why, Class.TABLE)
    why = "a file of the host: put what it sets up into the image, or mount its folder"
    return body.tell(command, name, "kept", why, Class.MANUAL)


def _conda(body: Body, command: Command, environment: str) -> None:
    image = dict(body.draft.tables.modules).get(f"conda:{environment}")
    if image is None:
        why = f"has to be in the image; say so in [modules] of the tables: conda:{environment}"
        return body.tell(command, "conda", "kept", why, Class.MANUAL)
    body.drop(command)
    if image:
        body.draft.images.append(image)
    became = f"image: {image}" if image else "in the image"
    return body.tell(command, "conda", became, "what the tables say of it", Class.TABLE)


def _traps(body: Body, command: Command) -> None:
    """A trap of the checkpoint signal hears SIGTERM too, which is what a pod gets."""
    checkpoint = body.draft.fields.get("checkpoint")
    if command.name != "trap" or checkpoint is None:
        return
    signals = [(w, (w.text or "").upper().removeprefix("SIG")) for w in command.words[2:]]
    if checkpoint.signal == "TERM" or "TERM" in {name for _, name in signals}:
        return
    for word, name in signals:
        if name == checkpoint.signal:
            body.put(word.start, word.end, f"{word.raw} TERM")
            why = f"a pod that has to go gets SIGTERM, never {name}: the trap hears both"
            body.tell(command, "trap", f"trap … {word.raw} TERM", why, Class.EMULATED)
            return


def _secrets(body: Body, command: Command) -> None:
    """A secret in the script would stand readable in the spec and in the request."""
    pairs = [(name, word.text) for name, word in command.assignments]
    if command.name in ("export", "declare"):
        split = ((word.text or "").partition("=") for word in command.words[1:])
        pairs += [(name, value) for name, equals, value in split if equals]
    for name, value in pairs:
        if value and SECRET.search(name) and not value.startswith("/"):
            line = body.line(command.start)
            why = "its value would stand readable in the request: take it out, name it in `secrets`"
            body.draft.tell(line, "secret", f"{name}=…", "kept", why, Class.MANUAL, blocks=True)


def _of_host(body: Body, command: Command) -> None:
    """Programs of the host that a pod does not have."""
    if command.name in _RUNTIMES:
        why = "nothing starts containers in a pod: name the image in the spec"
        body.tell(command, command.name, "kept, and fails", why, Class.MANUAL, blocks=True)
    elif command.name in _HOST:
        why = "a program of the host: a pod has it only where its image brings it"
        body.tell(command, command.name, "kept", why, Class.MANUAL)


def _keys(body: Body) -> None:
    """Secrets that stand anywhere else in the program, in words or in here-documents."""
    told = {f.line for f in body.draft.findings if f.name == "secret"}
    for line in dict.fromkeys(body.line(at) for at in places(body.lexed.code)):
        if line not in told:
            why = "a key, by its form, readable in the request: take it out, use `secrets`"
            body.draft.tell(line, "secret", "…", "kept", why, Class.MANUAL, blocks=True)


def _meeting(body: Body) -> None:
    """Where the processes meet: the launcher says it, and the script must not say it again."""
    launched = body.draft.fields.get("launcher", Launcher.NONE) is not Launcher.NONE
    several = body.draft.amounts.nodes > 1
    for piped in body.hostfiles if launched else ():
        body.tell(piped[0], "rendezvous", "dropped", "the launcher knows the hosts", Class.OK)
        body.put(piped[0].start, piped[-1].end, ":")
    asks = {
        id(body.outer(c))
        for c in body.lexed.commands
        if c.inside
        and (
            (c.name == "scontrol" and "hostname" in "".join(w.raw for w in c.words))
            or (c.name == "srun" and any(w.text == "hostname" for w in c.words))
        )
    }
    for command in body.lexed.commands:
        if command.inside or body.touched(command.start, command.end):
            continue
        changed = _assigned(body, command, asks=id(command) in asks)
        if not changed:
            continue
        names = ", ".join(changed)
        if launched:
            why = "the launcher tells the processes of each other"
            body.tell(command, "rendezvous", f"{names} of the launcher", why, Class.OK)
        elif several:
            why = "nothing tells pods of each other without a launcher: name one in the spec"
            body.tell(command, "rendezvous", names, why, Class.MANUAL)
        else:
            why = "one pod meets itself"
            body.tell(command, "rendezvous", f"{names} of the pod", why, Class.EMULATED)


def _assigned(body: Body, command: Command, *, asks: bool) -> list[str]:
    """The names that a command assigns about meeting, each now with what the launcher sets."""
    pairs = [(name, word.end - len(word.raw), word.end) for name, word in command.assignments]
    if command.name == "export":
        for word in command.words[1:]:
            name, equals, value = word.raw.partition("=")
            if equals:
                pairs.append((name, word.end - len(value), word.end))
    changed = []
    for name, start, end in pairs:
        value = body.text[start:end]
        meets = "scontrol" in value or "hostname" in value
        if name in _MEETING:
            default = f"${{{name}:-{_MEETING[name]}}}"
        elif asks and meets:
            default = "${MASTER_ADDR:-localhost}"
        else:
            continue
        if value.startswith("("):
            default = f"({default})"
        body.put(start, end, default)
        changed.append(name)
    return changed


def _slurm(body: Body, command: Command) -> None:
    """A command of Slurm: there is none in a container."""
    words = [word.text or word.raw for word in command.words]
    again = command.name == "sbatch" or words[1:2] == ["requeue"]
    why = "there is no Slurm in a container"
    if again:
        why = "a run that submits or requeues itself: say `retry:` in the spec instead"
    piped = {command.before, command.after} & {"|", "|&"}
    if not command.inside and not piped:
        body.drop(command)
        return body.tell(command, command.name, "dropped", why, Class.LOST)
    return body.tell(command, command.name, "kept, and fails", why, Class.LOST)
