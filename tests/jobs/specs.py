"""Any spec that can be read, as a strategy."""

from __future__ import annotations

from hypothesis import strategies as st

from foundry_tui.jobs.spec import (
    Checkpoint,
    Data,
    JobSpec,
    Launcher,
    Mount,
    Parallel,
    Retry,
    Secret,
    Words,
)

lines = (
    st.text(st.characters(codec="utf-8", exclude_categories=("C", "Zl", "Zp")), min_size=1)
    .map(str.strip)
    .filter(lambda text: bool(text) and text.isprintable())
)
odd = st.sampled_from(
    ["no", "null", "true", "1e3", "0x1", "12:00", "a: b", "#x", "- a", "~", "'\""]
)
texts = lines | odd
words = lines.filter(lambda text: not text.startswith("-") and not any(c.isspace() for c in text))
programs = st.text(st.characters(codec="utf-8", exclude_characters="\0")).filter(
    lambda text: bool(text.strip())
)
plain = st.from_regex(r"[A-Za-z][A-Za-z0-9]{0,8}", fullmatch=True)
folders = st.from_regex(r"/[a-z0-9/]{0,12}", fullmatch=True)
sizes = st.integers(1, 900_000).flatmap(
    lambda n: st.sampled_from([n * unit for unit in (10**6, 10**9, 1 << 20, 1 << 30)])
)
seconds = st.integers(1, 10**6)
sources = st.sampled_from(["slurm", "runai", "kai", "lab"])
choices = words.map(Words) | st.dictionaries(sources, words, min_size=1).map(
    lambda table: Words(by_source=tuple(table.items()))
)
maybe = st.none


def _pairs(values: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[tuple[str, str], ...]]:
    named = st.dictionaries(plain.map(str.lower), values, max_size=3)
    return named.map(lambda table: tuple(table.items()))


def _some(values: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(values, max_size=3, unique=True).map(tuple)


secrets = st.builds(
    Secret, variable=plain.map(lambda t: f"S_{t}"), name=plain.map(str.lower), key=plain
)
mounts = folders.flatmap(
    lambda target: st.builds(
        Mount,
        target=st.just(target),
        source=folders,
        claim=maybe() | plain.map(str.lower),
        read_only=st.booleans(),
    )
)
datasets = st.builds(
    Data,
    name=texts,
    path=texts,
    version=maybe() | texts.filter(lambda text: text != "auto"),
    schema=maybe() | plain,
)
checkpoints = st.builds(
    Checkpoint,
    path=maybe() | texts,
    signal=st.sampled_from(["USR1", "TERM"]),
    grace_s=st.integers(1, 65_535),
)
retries = st.builds(
    Retry,
    on=st.lists(
        st.sampled_from(["node_fail", "preempted", "timeout"]), min_size=1, unique=True
    ).map(tuple),
    most=st.integers(1, 1000),
)
parallels = st.builds(Parallel, tp=st.integers(1, 8), pp=st.integers(1, 8), dp=st.integers(1, 64))


@st.composite
def specs(draw: st.DrawFn) -> JobSpec:
    """Any spec that a file can hold."""
    part = draw(st.sampled_from(["whole", "share", "memory"]))
    gpus = draw(maybe() | st.integers(0 if part == "whole" else 1, 1024))
    launcher = draw(st.sampled_from(list(Launcher)))
    nodes = draw(maybe() | st.integers(1, 100))
    most = draw(maybe() | st.integers(1, 100)) if nodes else None
    elastic = nodes + most if nodes and most else None
    inline = draw(st.booleans())
    program = draw(programs)
    return JobSpec(
        name=draw(texts),
        script=(program if program.endswith("\n") else f"{program}\n") if inline else None,
        file=None if inline else draw(plain),
        image=draw(maybe() | words),
        queue=draw(st.just(Words()) | choices),
        gpus=gpus,
        gpu_share_milli=draw(st.integers(1, 1000)) if part == "share" else None,
        gpu_memory_bytes=draw(sizes) if part == "memory" else None,
        gpu_model=draw(maybe() | plain) if gpus else None,
        nodes=nodes,
        nodes_most=elastic,
        cpu_milli=draw(maybe() | st.integers(1, 10**6)),
        memory_bytes=draw(maybe() | sizes),
        time_limit_s=draw(maybe() | seconds),
        preemptible=draw(maybe() | st.booleans()),
        priority=draw(st.just(Words()) | choices),
        environment=draw(_pairs(programs)),
        experiment=draw(maybe() | texts),
        modules=draw(_some(plain)),
        workdir=draw(maybe() | folders),
        account=draw(st.just(Words()) | choices),
        node_pool=draw(st.just(Words()) | choices),
        launcher=launcher,
        processes=draw(maybe() | st.integers(1, 64)) if launcher is not Launcher.NONE else None,
        restarts=draw(maybe() | st.integers(0, 9)) if launcher is Launcher.TORCHRUN else None,
        parallel=draw(maybe() | parallels),
        deepspeed_config=draw(maybe() | plain),
        params=draw(_pairs(texts | st.just(""))),
        seed=draw(maybe() | st.integers(0, (1 << 32) - 1)),
        secrets=tuple(draw(st.lists(secrets, max_size=2, unique_by=lambda s: s.variable))),
        mounts=tuple(draw(st.lists(mounts, max_size=2, unique_by=lambda m: m.target))),
        data=tuple(draw(st.lists(datasets, max_size=2, unique_by=lambda d: d.name))),
        checkpoint=draw(maybe() | checkpoints),
        retry=draw(maybe() | retries),
        array=None if elastic else draw(maybe() | st.sampled_from(["0-9%4", "1,3,5-7", "0-8:2"])),
        needs=draw(_some(st.integers(1, 10**6).map(str))),
        notify=draw(_some(st.sampled_from(["begin", "end", "fail", "requeue"]))),
        preflight=tuple(
            draw(st.lists(st.lists(words, min_size=1, max_size=3).map(tuple), max_size=2))
        ),
        tags=draw(_pairs(texts)),
        options=draw(
            st.dictionaries(sources, st.lists(texts, max_size=2).map(tuple), max_size=2).map(
                lambda table: tuple(table.items())
            )
        ),
    )
