"""The words of programs that start programs: srun, mpirun, torchrun and their kin."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from foundry_tui.migration.body.lexer import Word
from foundry_tui.schedulers.slurm.directives import SHORT, VALUED, full_name


def _names(words: str) -> frozenset[str]:
    return frozenset(words.split())


@dataclass(frozen=True, slots=True)
class Manner:
    """How a launcher takes its options: which have a value in the next word, which two, which none.

    Names are without leading dashes, `-` for `_`.
    """

    valued: frozenset[str]
    flags: frozenset[str]
    double: frozenset[str] = frozenset()


SRUN_VALUED = VALUED | _names(
    "mpi cpu-bind het-group jobid relative multi-prog-file container-image container-mounts "
    "container-workdir container-name container-env container-writable task-prolog task-epilog "
    "slurmd-debug prolog epilog threads max-exit-timeout accel-bind r T W"
)
MANNERS = {
    "torchrun": Manner(
        _names(
            "nnodes nproc-per-node rdzv-backend rdzv-endpoint rdzv-id rdzv-conf max-restarts "
            "monitor-interval start-method role log-dir r redirects t tee node-rank master-addr "
            "master-port local-addr logs-specs local-ranks-filter"
        ),
        _names("standalone m module no-python use-env"),
    ),
    "accelerate": Manner(
        _names(
            "num-processes num-machines machine-rank main-process-ip main-process-port "
            "mixed-precision config-file gpu-ids rdzv-backend rdzv-conf max-restarts "
            "monitor-interval dynamo-backend num-cpu-threads-per-process deepspeed-config-file "
            "zero-stage deepspeed-hostfile gradient-accumulation-steps main-training-function "
            "fsdp-sharding-strategy deepspeed-multinode-launcher role log-dir tee"
        ),
        _names(
            "multi-gpu cpu use-deepspeed use-fsdp same-network m module no-python quiet debug "
            "use-megatron-lm"
        ),
    ),
    "deepspeed": Manner(
        _names(
            "hostfile H num-nodes num-gpus include i exclude e master-addr master-port launcher "
            "launcher-args node-rank autotuning bind-core-list venv-script elastic-training"
        ),
        _names("module no-python no-local-rank force-multi no-ssh bind-cores-to-rank"),
    ),
    "mpi": Manner(
        _names(
            "np n c N npernode map-by bind-to x H host hostfile machinefile f ppn perhost "
            "bootstrap launcher prefix rf rankfile timeout wdir display iface"
        ),
        _names(
            "oversubscribe allow-run-as-root report-bindings tag-output v verbose nolocal "
            "display-map l"
        ),
        _names("mca genv env gmca"),
    ),
    "horovod": Manner(
        _names("np H hosts hostfile p ssh-port start-timeout network-interface min-np max-np"),
        _names("gloo mpi verbose disable-cache autotune"),
    ),
    "container": Manner(
        _names("B bind pwd env env-file H home overlay W workdir S scratch"),
        _names("nv rocm cleanenv e C containall c contain no-home writable-tmpfs p pid i ipc u"),
    ),
}
_LAUNCH = {
    "torchrun": "torchrun",
    "deepspeed": "deepspeed",
    "mpirun": "mpi",
    "mpiexec": "mpi",
    "mpiexec.hydra": "mpi",
    "orterun": "mpi",
    "horovodrun": "horovod",
    "srun": "srun",
}
_PREFIXES = frozenset(("exec", "time", "nohup", "command", "env", "timeout"))
_PYTHON = re.compile(r"python[0-9.]*")
_MODULES = {
    "torch.distributed.run": "torchrun",
    "torch.distributed.launch": "torchrun",
    "torch.distributed.elastic": "torchrun",
    "accelerate.commands.launch": "accelerate",
    "deepspeed.launcher.runner": "deepspeed",
    "deepspeed": "deepspeed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One launcher: its kind, its options in their long form, and those that are not known.

    `python` are the words of the interpreter that ran it (`python -u -m torch.distributed.run`).
    `old` is the launch script of torch that hands `--local_rank` to the program.
    """

    kind: str
    options: tuple[tuple[str, str], ...]
    unknown: tuple[str, ...]
    image: str | None = None
    python: str | None = None
    old: bool = False

    def value(self, *names: str) -> str | None:
        """The value of the last of these options; None where none is given."""
        found = [value for name, value in self.options if name in names]
        return found[-1] if found else None


@dataclass(slots=True)
class Launch:
    """Launchers around a program, the outermost first; `start` is where the first one stands."""

    start: int
    layers: list[Layer] = field(default_factory=list)
    program: tuple[Word, ...] = ()

    def layer(self, kind: str) -> Layer | None:
        """The launcher of a kind; None where it is not among them."""
        return next((layer for layer in self.layers if layer.kind == kind), None)

    @property
    def inner(self) -> str:
        """The innermost kind that starts processes."""
        return [layer.kind for layer in self.layers if layer.kind != "container"][-1:][0]

    @property
    def starts(self) -> bool:
        """Whether anything but a container runtime is among them."""
        return any(layer.kind != "container" for layer in self.layers)


def launch_of(words: tuple[Word, ...]) -> Launch | None:
    """The launchers at the front of a command; None where there is none."""
    rest = list(words)
    while rest and (rest[0].text in _PREFIXES or _is_assigned(rest[0])):
        if rest.pop(0).text == "timeout":
            while rest and rest[0].raw.startswith("-"):
                valued = rest.pop(0).text in ("-k", "-s")
                del rest[: int(valued)]
            del rest[:1]
    if not rest:
        return None
    found = Launch(rest[0].start)
    while rest and (taken := _layer(rest)) is not None:
        layer, rest = taken
        found.layers.append(layer)
    found.program = tuple(rest)
    return found if found.layers else None


def _is_assigned(word: Word) -> bool:
    return re.match(r"[A-Za-z_][A-Za-z0-9_]*=", word.raw) is not None


def _layer(words: list[Word]) -> tuple[Layer, list[Word]] | None:
    name = (words[0].text or "").rpartition("/")[2]
    kind = _LAUNCH.get(name)
    if kind == "srun":
        options, unknown, rest = _srun(words[1:])
        return Layer(kind=kind, options=options, unknown=unknown), rest
    if kind is not None:
        return _known(kind, words[1:])
    if name == "accelerate" and len(words) > 1 and words[1].text == "launch":
        return _known("accelerate", words[2:])
    runs = len(words) > 1 and words[1].text in ("exec", "run")
    if name in ("singularity", "apptainer") and runs:
        layer, rest = _known("container", words[2:])
        image = rest.pop(0).raw if rest else ""
        made = Layer(kind="container", options=layer.options, unknown=layer.unknown, image=image)
        return made, rest
    return _module(words) if _PYTHON.fullmatch(name) else None


def _module(words: list[Word]) -> tuple[Layer, list[Word]] | None:
    """`python -u -m torch.distributed.run …`."""
    for place, word in enumerate(words[1:], 1):
        if word.text == "-m" and place + 1 < len(words):
            module = words[place + 1].text or ""
            kind = _MODULES.get(module)
            if kind is None:
                return None
            layer, rest = _known(kind, words[place + 2 :])
            python = " ".join(w.raw for w in words[:place])
            old = module.endswith(".launch") and not layer.value("use-env")
            made = Layer(
                kind=kind,
                options=layer.options,
                unknown=layer.unknown,
                python=python,
                old=old and kind == "torchrun",
            )
            return made, rest
        if word.text is None or not word.text.startswith("-"):
            return None
    return None


def _option(word: Word) -> str | None:
    """The option in a word, in quotes or in `${NAME:+"--option"}`; None for any other word."""
    text = word.raw.strip("\"'")
    found = re.fullmatch(r"\$\{\w+:?\+[\"']?(-[^}]+?)[\"']?\}", text)
    text = found[1] if found is not None else text
    return text if text.startswith("-") and text != "-" else None


def _known(kind: str, words: list[Word]) -> tuple[Layer, list[Word]]:
    manner, rest = MANNERS[kind], list(words)
    options: list[tuple[str, str]] = []
    unknown: list[str] = []
    while rest and (word := _option(rest[0])) is not None:
        rest.pop(0)
        if word == "--":
            break
        name, equals, value = word.lstrip("-").partition("=")
        name = name.replace("_", "-")
        if equals:
            options.append((name, value))
        elif name in manner.double:
            options.append((name, " ".join(w.raw for w in rest[:2])))
            del rest[:2]
        elif name in manner.valued:
            options.append((name, rest.pop(0).raw if rest else ""))
        else:
            options.append((name, "true"))
            if name not in manner.flags:
                unknown.append(word)
    return Layer(kind=kind, options=tuple(options), unknown=tuple(unknown)), rest


def _srun(
    words: list[Word],
) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...], list[Word]]:
    """The options of srun, most of which are those of sbatch."""
    rest, options = list(words), []
    while rest and (word := _option(rest[0])) is not None:
        rest.pop(0)
        if word == "--":
            break
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            name = full_name(name)
            if not equals and name in SRUN_VALUED and name != "wait-all-nodes":
                value = rest.pop(0).raw if rest else ""
            options.append((name, value))
            continue
        for place, letter in enumerate(word[1:], 1):
            name = {"W": "wait", "l": "label", "u": "unbuffered", "K": "kill-on-bad-exit"}.get(
                letter, SHORT.get(letter, letter)
            )
            if name in SRUN_VALUED or letter == "W":
                behind = word[place + 1 :]
                options.append((name, behind or (rest.pop(0).raw if rest else "")))
                break
            options.append((name, ""))
    return tuple(options), (), rest
