"""`#SBATCH` lines are read as sbatch reads them, and what they ask for is added up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.estate.run import Request
from foundry_tui.schedulers.slurm.directives import (
    FLAGS,
    OPTIONAL,
    SAME,
    SHORT,
    VALUED,
    DirectiveError,
    occurrences,
    parse,
    time_limit_s,
)
from foundry_tui.schedulers.slurm.requested import request_of


def script(*directives: str) -> bytes:
    lines = ("#!/bin/bash", *(f"#SBATCH {d}" for d in directives), "srun ./train", "")
    return "\n".join(lines).encode()


def wants(*options: str) -> Request:
    return request_of(parse(script(), options))


@pytest.mark.parametrize(
    ("directive", "found"),
    [
        ("-p x -J y", {"partition": "x", "job-name": "y"}),
        ("-px -Jy", {"partition": "x", "job-name": "y"}),
        ("--partition=x --job-name y", {"partition": "x", "job-name": "y"}),
        ("--mem=", {"mem": ""}),
        ("-t 1-0 -N2 -n 4 -c8", {"time": "1-0", "nodes": "2", "ntasks": "4", "cpus-per-task": "8"}),
        ("-G h100:2 -A ml -q high", {"gpus": "h100:2", "account": "ml", "qos": "high"}),
        ("-w h1 -x h2 -C big", {"nodelist": "h1", "exclude": "h2", "constraint": "big"}),
        ("-a 0-9%2 -d afterok:1", {"array": "0-9%2", "dependency": "afterok:1"}),
        ("-D /tmp -o a -e b -i c", {"chdir": "/tmp", "output": "a", "error": "b", "input": "c"}),
        ("-b now+1hour -m block", {"begin": "now+1hour", "distribution": "block"}),
        ("-HQ", {"hold": "", "quiet": ""}),
        ("-HJx", {"hold": "", "job-name": "x"}),
        ("-H --requeue -s -O", {"hold": "", "requeue": "", "oversubscribe": "", "overcommit": ""}),
        ("--exclusive -k --nice", {"exclusive": "", "no-kill": "", "nice": ""}),
        (
            "--exclusive=user -koff --nice=5",
            {"exclusive": "user", "no-kill": "off", "nice": "5"},
        ),
        ("--nice -H", {"nice": "", "hold": ""}),
        ("--qos=a --qos=b", {"qos": "b"}),
        ("-p=x", {"partition": "=x"}),
        ("--part=x --job y", {"partition": "x", "job-name": "y"}),
        ("--tasks-per-node=2 --cluster=c", {"ntasks-per-node": "2", "clusters": "c"}),
        ('-J "my job" -o a\\ b', {"job-name": "my job", "output": "a b"}),
        ('--comment=\'it is "so"\' -J a\\"b', {"comment": 'it is "so"', "job-name": 'a"b'}),
        ("-J ab\"c d\"'e f'g", {"job-name": "abc de fg"}),
        ("-J a # -p x", {"job-name": "a"}),
        ("-J a#b -p x", {"job-name": "a"}),
        ('-J a\\#b -p "x#y"', {"job-name": "a#b", "partition": "x#y"}),
        ("-p x --", {"partition": "x"}),
        ("-J ab\\", {"job-name": "ab"}),
        ("", {}),
        ("# nothing", {}),
    ],
)
def test_words(directive: str, found: dict[str, str]) -> None:
    assert parse(script(directive)) == found


def test_directives_end_at_the_first_command() -> None:
    text = b"""#!/bin/bash
# a comment, and an empty line

#SBATCH -J first
   # another comment
##SBATCH -J no
# SBATCH -J no
 #SBATCH -J no
#SBATCH-p glued
#SLURM -A old
echo hello
#SBATCH -q late
"""
    assert parse(text) == {"job-name": "first", "partition": "glued", "account": "old"}


def test_a_value_may_stand_on_the_next_line() -> None:
    assert parse(b"#SBATCH --partition\n#SBATCH long -n\n#SBATCH 4") == {
        "partition": "long",
        "ntasks": "4",
    }


def test_dos_line_breaks_and_tabs_are_blanks() -> None:
    assert parse(b"#!/bin/sh\r\n#SBATCH\t-J x\r\n\r\n#SBATCH -n 2\r\n") == {
        "job-name": "x",
        "ntasks": "2",
    }


def test_an_empty_pair_of_quotes_ends_its_line() -> None:
    assert parse(script('-J "" -p x', "name")) == {"job-name": "name"}


def test_bytes_that_are_not_utf8_are_kept() -> None:
    found = parse(b"#SBATCH -J tr\xff\n")["job-name"]
    assert found.encode("utf-8", "surrogateescape") == b"tr\xff"


def test_options_overrule_the_script() -> None:
    found = parse(script("-p a -t 10 -H"), ("--partition=b", "-n", "4", "-cx"))
    assert found == {
        "partition": "b",
        "time": "10",
        "hold": "",
        "ntasks": "4",
        "cpus-per-task": "x",
    }


def test_unknown_options_are_kept() -> None:
    found = parse(script("--new=1 --newer two --newest -H -Z three -y"))
    assert found == {"new": "1", "newer": "two", "newest": "", "hold": "", "Z": "three", "y": ""}


def test_ambiguous_short_forms_are_not_guessed() -> None:
    assert parse(script("--gpus-per=2 --n 3")) == {"gpus-per": "2", "n": "3"}


def test_the_first_component_of_a_heterogeneous_job_is_read() -> None:
    found = parse(script("-p a", "HetJob", "-p b"))
    assert found == {"partition": "a", "hetjob": ""}
    with pytest.raises(DirectiveError, match="hetjob"):
        request_of(found)


@pytest.mark.parametrize(
    ("directive", "said"),
    [
        ('-J "x', 'line 2: the quote " is not closed'),
        ("train", "line 2: 'train' is no option"),
        ("-p x -", "line 2: '-' is no option"),
        ("-p x -- y", "line 2: '--' is no option"),
        ("-N2 : -N3", "line 2: a word cannot begin with `:`"),
        ("--hold=yes", "line 2: --hold takes no value"),
        ("-p", "line 2: -p needs a value"),
        ("--gres", "line 2: --gres needs a value"),
        ("\x1b[2J" + "x" * 99, "is no option"),
    ],
)
def test_errors_name_the_line(directive: str, said: str) -> None:
    with pytest.raises(DirectiveError) as caught:
        parse(script(directive))
    assert said in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 160


def test_errors_name_the_option() -> None:
    with pytest.raises(DirectiveError, match="option 2: --gres needs a value"):
        parse(script(), ("-H", "--gres"))


def test_large_files() -> None:
    assert parse(b"\x7fELF" + bytes(50 << 20)) == {}
    assert parse(b"#!/bin/sh\n#SBATCH -n 2\n" + b"true\n" * (8 << 20)) == {"ntasks": "2"}


def test_every_letter_has_a_known_name() -> None:
    assert set(SHORT.values()) <= VALUED | OPTIONAL | FLAGS
    assert set(SAME) <= VALUED
    assert set(SAME.values()) <= VALUED
    assert not (VALUED & OPTIONAL or VALUED & FLAGS or OPTIONAL & FLAGS)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30", 1800),
        ("0", 0),
        ("30:00", 1800),
        ("1:30", 90),
        ("1:00:00", 3600),
        ("1-0", 86_400),
        ("1-2", 93_600),
        ("1-02:03", 93_780),
        ("1-02:03:04", 93_784),
        ("100:00:00", 360_000),
        ("UNLIMITED", None),
        ("infinite", None),
        ("-1", None),
    ],
)
def test_time_limit(text: str, seconds: int | None) -> None:
    assert time_limit_s(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", " 30", "x", "1-", "-5", "1:2:3:4", "1.5", "1h", "٣", "Partition_Limit", "9" * 30, "1:\n"],
)
def test_time_limit_of_another_form(text: str) -> None:
    with pytest.raises(ValueError, match="time: "):
        time_limit_s(text)


@given(st.integers(0, 999), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
def test_every_form_of_a_time_means_the_same(days: int, hours: int, mins: int, secs: int) -> None:
    total = ((days * 24 + hours) * 60 + mins) * 60 + secs
    assert time_limit_s(f"{days}-{hours:02}:{mins:02}:{secs:02}") == total
    assert time_limit_s(f"{24 * days + hours}:{mins:02}:{secs:02}") == total
    assert time_limit_s(f"{total // 60}:{secs}") == total


def test_nothing_asked_for() -> None:
    assert wants() == Request(cpu_milli=1000)


@pytest.mark.parametrize(
    ("options", "count", "model", "nodes"),
    [
        (("--gres=gpu",), 1, None, 1),
        (("--gres=gpu:2",), 2, None, 1),
        (("--gres=gpu:h100:2", "-N3"), 6, "h100", 3),
        (("--gres=gres/gpu:h100=2",), 2, "h100", 1),
        (("--gres=gres:gpu:a100",), 1, "a100", 1),
        (("--gres=nic:4,my-gpu:2,gpu:1",), 1, None, 1),
        (("--gres=gpu:h100:1,gpu:a100:2",), 3, None, 1),
        (("--gres=none",), 0, None, 1),
        (("--gres=tmp:20G",), 0, None, 1),
        (("-G", "4"), 4, None, 1),
        (("-G", "h100:4", "-N2"), 4, "h100", 2),
        (("--gpus=h100:2,a100:1",), 3, None, 1),
        (("--gpus=4", "--gres=gpu:4"), 4, None, 1),
        (("--gpus-per-node=2", "-N2-4"), 4, None, 2),
        (("--gpus-per-node=a100:2", "-w", "h[1-3]"), 6, "a100", 3),
        (("--gpus=8", "--gpus-per-node=4"), 8, None, 2),
        (("--gpus-per-task=2", "-n3"), 6, None, 1),
        (("--gpus-per-task=1", "--ntasks-per-node=4", "-N2"), 8, None, 2),
        (("--tres-per-task=cpu=2,gres/gpu:h100=2", "-n2"), 4, "h100", 1),
        (("--gpus-per-socket=1", "--sockets-per-node=2", "-N2"), 4, None, 2),
        (("--gres=gpu:1", "-n6", "--ntasks-per-node=3"), 2, None, 2),
        (("-N", "1k"), 0, None, 1024),
        (("-N", "2,4-6"), 0, None, 2),
        (("-w", "/home/ada/hosts"), 0, None, 1),
    ],
)
def test_whole_gpus(options: tuple[str, ...], count: int, model: str | None, nodes: int) -> None:
    found = wants(*options)
    assert (found.gpu_count, found.gpu_milli) == (count, 1000 * count)
    assert (found.gpu_model, found.nodes) == (model, nodes)


@pytest.mark.parametrize(
    ("options", "count", "model"),
    [
        (("--gres=shard:3",), 1, None),
        (("--gres=shard:h100:3", "-N2"), 2, "h100"),
        (("--gres=mps:50",), 1, None),
        (("--gres=gpu:1,shard:2",), 2, None),
    ],
)
def test_shares_have_no_known_size(options: tuple[str, ...], count: int, model: str | None) -> None:
    found = wants(*options)
    assert (found.gpu_count, found.gpu_milli, found.gpu_model) == (count, None, model)


@pytest.mark.parametrize(
    ("gres", "profile", "model"),
    [("gpu:1g.10gb:2", "1g.10gb", None), ("gpu:a100_3g.20gb:2", "3g.20gb", "a100")],
)
def test_mig_profiles(gres: str, profile: str, model: str | None) -> None:
    found = wants(f"--gres={gres}")
    assert (found.gpu_count, found.gpu_milli) == (2, None)
    assert (found.mig_profile, found.gpu_model) == (profile, model)


@pytest.mark.parametrize(
    ("options", "cpus", "memory_mib"),
    [
        (("-n4", "-c2"), 8, None),
        (("-N3",), 3, None),
        (("--ntasks-per-node=4", "-N2", "-c", "2"), 16, None),
        (("--mem=4G", "-N2"), 2, 8192),
        (("--mem=4000",), 1, 4000),
        (("--mem=4gb",), 1, 4096),
        (("--mem=0",), 1, None),
        (("--mem-per-cpu=2G", "-n3", "-c2"), 6, 12_288),
        (("--mem-per-gpu=3G", "-G2"), 1, 6144),
        (("--cpus-per-gpu=3", "-G2"), 6, None),
        (("--ntasks-per-gpu=2", "-G4"), 8, None),
        (("-G6", "--gpus-per-task=2"), 3, None),
    ],
)
def test_cpus_and_memory(options: tuple[str, ...], cpus: int, memory_mib: int | None) -> None:
    found = wants(*options)
    assert found.cpu_milli == 1000 * cpus
    assert found.memory_bytes == (None if memory_mib is None else memory_mib << 20)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 5400), ("0:30", 60), ("1-0", 86_400), ("0", None), ("-1", None)]
)
def test_time_is_counted_in_whole_minutes(text: str, seconds: int | None) -> None:
    assert wants("--time", text).time_limit_s == seconds


@pytest.mark.parametrize(
    ("option", "named"),
    [
        ("--nodes=two", "--nodes: 'two'"),
        ("--ntasks=4x", "--ntasks"),
        ("--cpus-per-task=-1", "--cpus-per-task"),
        ("--mem=1.5G", "--mem: '1.5G'"),
        ("--mem-per-cpu=", "--mem-per-cpu"),
        ("--time=soon", "--time: 'soon'"),
        ("--gres=gpu:h100:2:3", "--gres"),
        ("--gres=gpu:2,", "--gres"),
        ("--gpus=many:many", "--gpus"),
        ("--gpus-per-node=", "--gpus-per-node"),
        ("--nodelist=h[3-1]", "--nodelist"),
        ("--nodelist=" + "h[1]" * 5000, "--nodelist"),
    ],
)
def test_values_of_another_form(option: str, named: str) -> None:
    with pytest.raises(DirectiveError) as caught:
        wants(option)
    assert named in str(caught.value)


def attempt(text: bytes, options: tuple[str, ...] = ()) -> None:
    try:
        request_of(parse(text, options))
    except DirectiveError as error:
        assert str(error).isprintable()


@given(st.binary())
def test_any_bytes(text: bytes) -> None:
    attempt(text)


WORDS = st.sampled_from(
    [f"--{name}{sign}" for name in sorted(VALUED | OPTIONAL | FLAGS) for sign in ("", "=")]
    + [f"-{letter}" for letter in SHORT]
    + ["gpu", "h100", "2", "1g.5gb", "4G", "1-0", "h[1-3]", "hetjob", "none", "9" * 40]
    + list(":,=\"'\\# \t-[]%/\x00\x1b\xff")
)


@given(st.lists(st.lists(WORDS, max_size=8), max_size=4), st.lists(WORDS, max_size=4))
def test_any_directives(lines: list[list[str]], options: list[str]) -> None:
    text = "\n".join("#SBATCH " + "".join(line) for line in lines)
    attempt(text.encode("utf-8", "surrogateescape"), tuple(options))
    spaced = "\n".join("#SBATCH " + " ".join(line) for line in lines)
    attempt(spaced.encode("utf-8", "surrogateescape"))


def rendered(name: str, value: str | None) -> str:
    if value is None:
        return f"#SBATCH --{name}"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'#SBATCH --{name}="{escaped}"'


NAMES = sorted((VALUED | OPTIONAL) - set(SAME))
VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=20)


@given(st.dictionaries(st.sampled_from(NAMES), VALUES), st.sets(st.sampled_from(sorted(FLAGS))))
def test_what_is_rendered_parses_back(valued: dict[str, str], flags: set[str]) -> None:
    lines = [rendered(name, value) for name, value in valued.items()]
    lines += [rendered(name, None) for name in sorted(flags)]
    expected = {**valued, **dict.fromkeys(flags, "")}
    assert parse("\n".join(["#!/bin/sh", *lines, "true"]).encode()) == expected
    assert parse(b"", tuple(f"--{n}={v}" for n, v in valued.items())) == valued


def test_every_option_is_told_with_its_line_though_a_later_one_overrules_it() -> None:
    text = script("-J a -HQ", "--time=1", "-t", "2", "hetjob", "-J b")
    assert occurrences(text) == (
        (2, "job-name", "a"),
        (2, "hold", ""),
        (2, "quiet", ""),
        (3, "time", "1"),
        (4, "time", "2"),
    )
    with pytest.raises(DirectiveError, match="line 2"):
        occurrences(script("stray"))
