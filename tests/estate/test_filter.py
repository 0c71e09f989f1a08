"""The filter language: what each term finds, what an error points at, and nothing else fails."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foundry_tui.estate.fields import GPU_FIELDS, NODE_FIELDS, QUEUE_FIELDS, RUN_FIELDS
from foundry_tui.estate.filter import Field, Fields, FilterError, parse

RUNS: tuple[dict[str, object], ...] = (
    {
        "id": ("slurm/101", "101"),
        "name": "train-llama",
        "state": "running",
        "user": "alice",
        "account": "nlp",
        "queue": ("prod",),
        "source": "slurm",
        "node": ("gpu-01", "gpu-02"),
        "priority": 4000,
        "gpu_count": 8,
        "gpu_util_pct": 91.5,
        "memory_bytes": 64 * 1024**3,
        "age_s": 7200.0,
        "wait_s": 60.0,
    },
    {
        "id": ("slurm/102", "102"),
        "name": "my run",
        "state": "pending",
        "user": "Bob",
        "account": None,
        "queue": ("prod", "dev"),
        "source": "slurm",
        "reason": "Resources",
        "node": (),
        "priority": 3000,
        "gpu_count": 4,
        "gpu_util_pct": None,
        "memory_bytes": 512 * 1024**2,
        "age_s": 900.0,
        "wait_s": 900.0,
    },
    {
        "id": ("cloud/c0ffee", "c0ffee"),
        "name": "none",
        "state": "running",
        "user": None,
        "queue": ("research",),
        "source": "cloud",
        "node": ("gpu-03",),
        "gpu_count": 1,
        "gpu_util_pct": 5.0,
        "age_s": 259200.0,
    },
)


def found(text: str, me: str | None = "alice") -> list[int]:
    """Positions in RUNS of what the filter finds."""
    wanted = parse(text, RUN_FIELDS, me=None if me is None else frozenset({me}))
    return [position for position, run in enumerate(RUNS) if wanted.match(run)]


@pytest.mark.parametrize(
    ("text", "positions"),
    [
        ("", [0, 1, 2]),
        ("  \t\n ", [0, 1, 2]),
        ("state=running gpu>=4 user=me age>1h -queue=dev train|tune", [0]),
        # comparisons of numbers
        ("gpu>=4", [0, 1]),
        ("gpu>4", [0]),
        ("gpu<4", [2]),
        ("gpu<=4", [1, 2]),
        ("gpu=4", [1]),
        ("gpu!=4", [0, 2]),
        ("gpu=1|8", [0, 2]),
        ("gpu!=1|8", [1]),
        ("gpu>=+.5", [0, 1, 2]),
        ("priority>-1", [0, 1]),
        ("util<20", [2]),
        ("util<20%", [2]),
        ("gpu_util_pct>=91.5", [0]),
        # units
        ("age>=2h", [0, 2]),
        ("age>2h", [2]),
        ("age=15m", [1]),
        ("age=900s", [1]),
        ("age=900", [1]),
        ("age>=3d", [2]),
        ("age<1w", [0, 1, 2]),
        ("age=0.25h", [1]),
        ("age=1h60m", [0]),
        ("age>=3D", [2]),
        ("mem>=40G", [0]),
        ("mem=512M", [1]),
        ("mem=0.5GiB", [1]),
        ("mem=536870912", [1]),
        ("mem<1t", [0, 1]),
        # text: no regard to case, globs, contains, alternatives
        ("state=RUNNING", [0, 2]),
        ("STATE=running", [0, 2]),
        ("user=bob", [1]),
        ("name=train", []),
        ("name=train*", [0]),
        ("name=*llama", [0]),
        ("name=*ain*lla*", [0]),
        ("name=t*a*a", [0]),
        ("name=trainn*nllama", []),
        ("name=*", [0, 1, 2]),
        ('name="train*"', []),
        ("name~LLA", [0]),
        ("name~tr*ma", [0]),
        ("name~run|lla", [0, 1]),
        ("state=pending|failed", [1]),
        ("state!=pending", [0, 2]),
        ("state!=pending|running", []),
        ('name="my run"', [1]),
        ('name=my" "run', [1]),
        # sets: any value
        ("node=gpu-02", [0]),
        ("node=gpu-0*", [0, 2]),
        ("node~03|02", [0, 2]),
        ("node!=gpu-01", [1, 2]),
        ("queue=dev", [1]),
        ("partition=prod", [0, 1]),
        ("project=research", [2]),
        ("id=102", [1]),
        ("id=slurm/102", [1]),
        # missing
        ("util>=0", [0, 2]),
        ("util!=91.5", [2]),
        ("util=none", [1]),
        ("util!=none", [0, 2]),
        ("util=none|5", [1, 2]),
        ("util!=none|5", [0]),
        ("account=none", [1, 2]),
        ("user!=alice", [1]),
        ("-user=alice", [1, 2]),
        ("-user=none", [0, 1]),
        ("node=none", [1]),
        ("node!=none", [0, 2]),
        ("node=none|gpu-03", [1, 2]),
        ("name=none", []),
        ('name="none"', [2]),
        ("name~none", [2]),
        # me
        ("user=me", [0]),
        ("user=ME|bob", [0, 1]),
        ("user!=me", [1]),
        ('user="me"', []),
        ("name=me", []),
        # words
        ("llama", [0]),
        ("LLAMA", [0]),
        ("resources", [1]),
        ("gpu-03", [2]),
        ("c0ffee", [2]),
        ("tnl", [0]),
        ('"tnl"', []),
        ("rng", []),  # letters in order are looked for in names, not in "running"
        ("llama|c0ffee", [0, 2]),
        ("llama prod", [0]),
        ("llama research", []),
        ("-llama", [1, 2]),
        ('-"my run"', [0, 2]),
        ('"my run"', [1]),
        ("tr*ma", [0]),
        ("llama*prod", []),  # a pattern stays within one value
        ("slurm -dev", [0]),
        ('"-01"', [0]),
    ],
)
def test_what_a_filter_finds(text: str, positions: list[int]) -> None:
    assert found(text) == positions


def test_a_record_may_be_a_getter() -> None:
    def get(run: Mapping[str, object], field: str) -> object:
        return run.get(field)

    wanted = parse("gpu>=4 llama", RUN_FIELDS)
    assert [wanted.match(partial(get, run)) for run in RUNS] == [True, False, False]


def test_a_set_may_be_comma_separated_text() -> None:
    assert parse("queue=dev", RUN_FIELDS).match({"queue": "prod,dev"})
    assert not parse("queue=prod,dev", RUN_FIELDS).match({"queue": "prod,dev"})
    assert parse("queue=none", RUN_FIELDS).match({"queue": ""})
    assert parse("dev", RUN_FIELDS).match({"queue": ["prod", "dev"]})


def test_a_quote_within_quotes() -> None:
    assert parse(r'name="a \"b\" \\"', RUN_FIELDS).match({"name": 'a "b" \\'})


@pytest.mark.parametrize(
    ("fields", "text", "record"),
    [
        (NODE_FIELDS, "gpu=8 free>=2 util<50 model~h100", {"gpu_count": 8, "gpu_free": 2.5}),
        (NODE_FIELDS, "state=mixed queue=prod node=gpu-01", {"state": "mixed", "name": "gpu-01"}),
        (GPU_FIELDS, "run=101 util<20 mem>=1G", {"runs": ("slurm/101", "101"), "util_pct": 3}),
        (GPU_FIELDS, "free=0 alloc=1 idle>30m", {"gpu_free": 0, "gpu_allocated": 1.0}),
        (QUEUE_FIELDS, "waiting>100 running=0 wait>1h kind=partition", {"waiting": 5000}),
    ],
)
def test_the_fields_of_the_other_nouns(
    fields: Fields, text: str, record: dict[str, object]
) -> None:
    rest = {
        "gpu_model": "NVIDIA H100",
        "gpu_util_pct": 0.0,
        "queue": ("prod", "all"),
        "mem_used_bytes": 2 * 1024**3,
        "idle_s": 3600,
        "running": 0,
        "oldest_wait_s": 7200.0,
        "kind": "partition",
    }
    assert parse(text, fields).match({**rest, **record})
    for term in text.split():
        assert not parse(f"-{term}", fields).match({**rest, **record})


@pytest.mark.parametrize("fields", [RUN_FIELDS, NODE_FIELDS, GPU_FIELDS, QUEUE_FIELDS])
def test_no_name_of_a_field_means_two_fields(fields: Fields) -> None:
    names = [*fields, *(alias for spec in fields.values() for alias in spec.aliases)]
    assert len(names) == len(set(names))
    assert any(spec.fuzzy for spec in fields.values())


@pytest.mark.parametrize(
    ("text", "position", "length", "message"),
    [
        ("gpu>=1 stat=running", 7, 4, 'there is no field "stat"; did you mean "state"?'),
        ("-usr=bob", 1, 3, 'did you mean "user"?'),
        ("zzzzzz=1", 0, 6, "the fields are id, name, state,"),
        ("=1", 0, 1, "a field name is missing before ="),
        ("a ->=1", 3, 2, "a field name is missing before >="),
        ("state<3", 5, 1, "state is text: compare it with = != or ~, not with <"),
        ("queue>=prod", 5, 2, "queue is text"),
        ("gpu~4", 3, 1, "gpu_count is a number"),
        ("gpu==4", 3, 2, 'there is no operator "=="'),
        ("gpu=<4", 3, 2, 'there is no operator "=<"'),
        ("gpu>=four", 5, 4, "gpu_count needs a number such as 4"),
        ("gpu=4|x|5", 6, 1, "gpu_count needs a number"),
        ("gpu=4%", 4, 2, "gpu_count needs a number"),
        ("gpu>none", 4, 4, "gpu_count needs a number"),
        ("gpu=nan", 4, 3, "gpu_count needs a number"),
        ("age>soon", 4, 4, "age_s needs a duration such as 90s, 15m, 2h or 3d"),
        ("age>2y", 4, 2, "age_s needs a duration"),
        ("mem>4X", 4, 2, "memory_bytes needs a size such as 512M or 40G"),
        ("user=me", 5, 2, '"me" is not known here: write the name of the user'),
        ("a state=", 2, 6, "a word or value is missing here"),
        ("state=a|", 0, 8, "a word or value is missing here"),
        ("a||b", 0, 4, "a word or value is missing here"),
        ("-", 0, 1, "a word or value is missing here"),
        ('x ""', 2, 2, "there is nothing to search for here"),
        ("*", 0, 1, "there is nothing to search for here"),
        ("name=a|user=b", 11, 1, '"=" within a word or value must stand in quotes'),
        ('a "b" name="c d', 11, 4, "this quote is not closed"),
        ('"', 0, 1, "this quote is not closed"),
    ],
)
def test_an_error_points_at_the_token(text: str, position: int, length: int, message: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse(text, RUN_FIELDS)
    error = caught.value
    assert (error.position, error.length) == (position, length)
    assert message in error.message
    assert str(error).splitlines() == [text, " " * position + "^" * length, error.message]


def test_carets_stand_under_the_token_in_cells_and_nothing_is_obeyed() -> None:
    with pytest.raises(FilterError) as caught:
        parse("訓練\n\x1b[2J age>späť", RUN_FIELDS)
    assert str(caught.value).splitlines() == [
        "訓練␊␛[2J age>späť",
        "              ^^^^",
        "age_s needs a duration such as 90s, 15m, 2h or 3d",
    ]
    with pytest.raises(FilterError, match="‹9b›"):
        parse("na\x9bme=1", RUN_FIELDS)


TERMS = (
    "state=running", "gpu>=4", "util<20", "util!=5", "user=me", "age>2h", "queue=prod",
    "node!=gpu-01", "llama", "tnl|dev", '"my run"', "name=t*", "util=none",
)  # fmt: skip
snippet = st.one_of(
    st.sampled_from(
        (*TERMS, "mem~5", "zz=1", "-", "|", '"', "\\", "*", "=", "~", " ", "none", "me")
    ),
    st.text(max_size=5),
)
value = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5),
    st.tuples(st.text(max_size=5), st.integers()), st.just(()), st.sampled_from(["alice", "prod"]),
)  # fmt: skip
record = st.dictionaries(st.sampled_from(sorted(RUN_FIELDS)), value, max_size=8)


@settings(deadline=None)
@given(st.lists(snippet, max_size=6).map("".join), record)
def test_any_text_is_a_filter_or_a_filter_error(text: str, run: dict[str, object]) -> None:
    try:
        wanted = parse(text, RUN_FIELDS, me=frozenset({"alice"}))
    except FilterError as error:
        assert 0 <= error.position <= len(text)
        assert 0 < error.length <= len(text) - error.position
        _, carets, message = str(error).split("\n")
        assert carets.strip(" ").strip("^") == "" and message
    else:
        assert wanted == parse(text, RUN_FIELDS, me=frozenset({"alice"}))
        assert hash(wanted) == hash(parse(text, RUN_FIELDS, me=frozenset({"alice"})))
        assert wanted != parse(text, RUN_FIELDS, me=frozenset({"bob"}))
        assert wanted.match(run) in (True, False)


@settings(deadline=None)
@given(st.sampled_from(TERMS), record)
def test_negation_is_the_complement(term: str, run: dict[str, object]) -> None:
    term_matches = parse(term, RUN_FIELDS, me=frozenset({"alice"})).match(run)
    assert parse(f"-{term}", RUN_FIELDS, me=frozenset({"alice"})).match(run) is not term_matches


@settings(deadline=None)
@given(st.lists(st.sampled_from(TERMS)), record)
def test_terms_are_anded(terms: list[str], run: dict[str, object]) -> None:
    each = [parse(term, RUN_FIELDS, me=frozenset({"alice"})).match(run) for term in terms]
    assert parse(" ".join(terms), RUN_FIELDS, me=frozenset({"alice"})).match(run) is all(each)


@settings(deadline=None)
@given(st.text(min_size=1, max_size=12))
def test_a_quoted_value_means_exactly_itself(name: str) -> None:
    quoted = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    assert parse(f"name={quoted}", RUN_FIELDS).match({"name": name})
    assert parse(quoted, RUN_FIELDS).match({"name": f"a{name}b"})
    assert not parse(f"name={quoted}", RUN_FIELDS).match({"name": name + "x"})


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [("ab*ba", "aba", False), ("ab*ba", "abba", True), ("*b*ab", "ab", False), ("a*", "a", True)],
)
def test_the_parts_of_a_pattern_do_not_overlap(pattern: str, name: str, fits: bool) -> None:
    assert parse(f"name={pattern}", RUN_FIELDS).match({"name": name}) is fits


def test_a_pattern_of_many_stars_is_matched_in_linear_time() -> None:
    wanted = parse("name=" + "*a" * 60 + "*b", RUN_FIELDS)  # a backtracking match never ends here
    assert not wanted.match({"name": "a" * 256})
    assert wanted.match({"name": "a" * 256 + "b"})


def test_a_long_filter_is_read() -> None:
    wanted = parse("name=" + "|".join(f"run-{n}" for n in range(10_000)), RUN_FIELDS)
    assert wanted.match({"name": "run-9999"})
    assert not wanted.match({"name": "run-10000"})


def test_a_field_whose_name_has_spaces_stands_in_quotes() -> None:
    fields: Fields = {"param.batch size": Field("number"), 'a|b "c"': Field("text")}
    wanted = parse('"param.batch size">8 -"a|b \\"c\\""=x', fields)
    assert wanted.match({"param.batch size": 16, 'a|b "c"': "y"})
    assert not wanted.match({"param.batch size": 8, 'a|b "c"': "y"})
    assert not wanted.match({"param.batch size": 16, 'a|b "c"': "x"})
    with pytest.raises(FilterError, match='there is no field "batch size"'):
        parse('"batch size"=1', fields)
    with pytest.raises(FilterError, match="must stand in quotes"):
        parse('x"batch size"=1', fields)
