"""MIG: the profiles of each GPU model, where their instances may start, and which fit together.

A GPU has memory slices and compute slices. An instance covers a range of memory slices, beginning
at one of the few places its profile allows; ranges must not overlap, and the compute slices of all
instances together must not exceed those of the GPU. Source: NVIDIA Multi-Instance GPU User Guide,
"Supported MIG Profiles", and the placements that `nvidia-smi mig -lgipp` prints on A100 and H100;
H200 and B200 have the same slices and are taken to have the same placements.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

GB = 1_000_000_000

_CERTAIN_PCT = 95  # a driver gives 16.00 GiB (17.2 GB) for 1g.18gb: names are rounded up


@dataclass(frozen=True, slots=True)
class Profile:
    """A size of instance: slices it takes, and the memory slices at which it may start.

    `memory_gb` is the one of its name, in 10^9 bytes.
    """

    name: str
    compute: int
    memory: int
    starts: tuple[int, ...]
    memory_gb: int

    @property
    def memory_bytes(self) -> int:
        """Memory that an instance surely has: 95 % of its name, which is rounded."""
        return self.memory_gb * GB * _CERTAIN_PCT // 100


@dataclass(frozen=True, slots=True)
class Model:
    """A GPU model with its slices and its profiles, smallest first."""

    name: str
    compute: int
    memory: int
    profiles: tuple[Profile, ...]

    def profile(self, name: str) -> Profile:
        """The profile of that name; `+me` (with the media engines) takes the same slices.

        Raises:
            ValueError: the model has no such profile.
        """
        wanted = name.removesuffix("+me")
        for profile in self.profiles:
            if profile.name == wanted:
                return profile
        have = ", ".join(p.name for p in self.profiles)
        raise ValueError(f"profile: {self.name} has {have}, not {name}")


@dataclass(frozen=True, slots=True, order=True)
class Instance:
    """An instance on a GPU: its first memory slice and the name of its profile."""

    start: int
    profile: str


def _sevenths(name: str, gb: tuple[int, int, int, int]) -> Model:
    """A model of seven compute and eight memory slices; sizes of 1, 2, 4 and 8 memory slices."""
    one, two, four, whole = gb
    return Model(
        name,
        7,
        8,
        (
            Profile(f"1g.{one}gb", 1, 1, (0, 1, 2, 3, 4, 5, 6), one),
            Profile(f"1g.{two}gb", 1, 2, (0, 2, 4, 6), two),
            Profile(f"2g.{two}gb", 2, 2, (0, 2, 4), two),
            Profile(f"3g.{four}gb", 3, 4, (0, 4), four),
            Profile(f"4g.{four}gb", 4, 4, (0,), four),
            Profile(f"7g.{whole}gb", 7, 8, (0,), whole),
        ),
    )


MODELS: Mapping[str, Model] = {
    model.name: model
    for model in (
        Model(
            "A30-24GB",
            4,
            4,
            (
                Profile("1g.6gb", 1, 1, (0, 1, 2, 3), 6),
                Profile("2g.12gb", 2, 2, (0, 2), 12),
                Profile("4g.24gb", 4, 4, (0,), 24),
            ),
        ),
        _sevenths("A100-40GB", (5, 10, 20, 40)),
        _sevenths("A100-80GB", (10, 20, 40, 80)),
        _sevenths("H100-80GB", (10, 20, 40, 80)),
        _sevenths("H200-141GB", (18, 35, 71, 141)),
        _sevenths("B200-180GB", (23, 45, 90, 180)),
    )
}
"""The models whose profiles are known, by name."""


def check(model: Model, placed: Iterable[Instance]) -> None:
    """Refuse instances that cannot be on one GPU together.

    Raises:
        ValueError: an unknown profile, a start it does not have, an overlap, or too many compute
            slices; or two instances with the one set of media engines.
    """
    taken, compute, media = 0, 0, 0
    for instance in placed:
        profile = model.profile(instance.profile)
        if instance.start not in profile.starts:
            raise ValueError(
                f"start: {instance.profile} of {model.name} starts at "
                f"{', '.join(map(str, profile.starts))}, not {instance.start}"
            )
        cover = _cover(profile, instance.start)
        if taken & cover:
            raise ValueError(f"start: {instance.profile} at {instance.start} overlaps another")
        taken |= cover
        compute += profile.compute
        media += instance.profile.endswith("+me")
    if compute > model.compute:
        raise ValueError(f"profile: {compute} compute slices of {model.compute} on {model.name}")
    if media > 1:
        raise ValueError(f"profile: {media} instances with media engines, a GPU has one set")


def starts(model: Model, placed: Sequence[Instance], profile: str) -> tuple[int, ...]:
    """Where one more instance may start beside those that are there, lowest first.

    Raises:
        ValueError: an unknown profile, or what is there cannot be.
    """
    check(model, placed)
    wanted = model.profile(profile)
    if profile.endswith("+me") and any(i.profile.endswith("+me") for i in placed):
        return ()
    state = _state(model, placed)
    return tuple(start for start in wanted.starts if _room(model, state, wanted, start))


def options(model: Model, placed: Sequence[Instance]) -> int:
    """How many different single instances (profile and start) could still be added.

    Raises:
        ValueError: what is there cannot be.
    """
    check(model, placed)
    return _options(model, _state(model, placed))


def best_start(model: Model, placed: Sequence[Instance], profile: str) -> int | None:
    """The start that leaves most options open, the lowest of equals; None if there is no room.

    Raises:
        ValueError: an unknown profile, or what is there cannot be.
    """
    found = starts(model, placed, profile)
    return max(
        found,
        key=lambda start: (options(model, (*placed, Instance(start, profile))), -start),
        default=None,
    )


def place(
    model: Model, wanted: Sequence[str], placed: Sequence[Instance] = ()
) -> tuple[Instance, ...] | None:
    """Where all the wanted instances go on one GPU beside those there; None if they do not fit.

    Every arrangement is tried; the one that leaves most options open is taken, and of equals the
    one with the lowest starts, larger profiles first.

    Raises:
        ValueError: an unknown profile, or what is there cannot be.
    """
    check(model, placed)
    media = [name for name in (*wanted, *(i.profile for i in placed)) if name.endswith("+me")]
    if len(media) > 1:
        return None
    order = sorted(wanted, key=lambda name: (-model.profile(name).memory, -_compute(model, name)))
    best: tuple[int, tuple[Instance, ...]] | None = None
    for state, found in _arrangements(model, _state(model, placed), order):
        rank = _options(model, state)
        if best is None or rank > best[0]:
            best = rank, found
    return None if best is None else best[1]


def smallest(model: Model, need_bytes: int, share: float) -> Profile | None:
    """The smallest profile with this memory and at least this share of the GPU; None without one.

    The share of a profile is the smaller of its parts of the compute and the memory slices, so a
    speed that was promised for the share holds.

    Raises:
        ValueError: negative memory, or a share outside 0..1.
    """
    if need_bytes < 0 or not 0 <= share <= 1:
        raise ValueError(f"need_bytes: at least 0, share: 0..1, got {need_bytes} and {share}")
    fitting = [
        p
        for p in model.profiles
        if p.memory_bytes >= need_bytes and share_of(model, p) >= share - 1e-9
    ]
    return min(fitting, key=lambda p: (p.memory, p.compute), default=None)


def share_of(model: Model, profile: Profile) -> float:
    """The smaller of the profile's parts of the compute and of the memory slices."""
    return min(profile.compute / model.compute, profile.memory / model.memory)


_State = tuple[int, int]
"""Memory slices taken, a bit each, and how many compute slices are."""


def _compute(model: Model, name: str) -> int:
    return model.profile(name).compute


def _cover(profile: Profile, start: int) -> int:
    return ((1 << profile.memory) - 1) << start


def _state(model: Model, placed: Iterable[Instance]) -> _State:
    taken, compute = 0, 0
    for instance in placed:
        profile = model.profile(instance.profile)
        taken |= _cover(profile, instance.start)
        compute += profile.compute
    return taken, compute


def _room(model: Model, state: _State, profile: Profile, start: int) -> bool:
    taken, compute = state
    return not taken & _cover(profile, start) and compute + profile.compute <= model.compute


def _options(model: Model, state: _State) -> int:
    return sum(_room(model, state, p, start) for p in model.profiles for start in p.starts)


def _arrangements(
    model: Model, state: _State, wanted: Sequence[str], least: int = 0
) -> Iterator[tuple[_State, tuple[Instance, ...]]]:
    """All ways to add the wanted instances; equal ones that stand together go upwards only."""
    if not wanted:
        yield state, ()
        return
    name, rest = wanted[0], wanted[1:]
    profile = model.profile(name)
    for start in profile.starts:
        if start < least or not _room(model, state, profile, start):
            continue
        after = state[0] | _cover(profile, start), state[1] + profile.compute
        next_least = start + 1 if rest and rest[0] == name else 0
        for final, others in _arrangements(model, after, rest, next_least):
            yield final, (Instance(start, name), *others)
