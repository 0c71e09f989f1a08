"""Which run is best: by which metric, whether less or more of it is better, and who says so."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from foundry_tui.estate.recorded import OURS, SYSTEM
from foundry_tui.estate.text import safe
from foundry_tui.estate.tracked import TrackedRun


def _named(words: str) -> frozenset[str]:
    return frozenset(words.split())


LESS = _named(
    "loss error err perplexity ppl time latency duration rmse mse mae mape wer cer fid nll bpb bpc "
    "cost regret divergence kl"
)
MORE = _named(
    "accuracy acc f1 auc auroc auprc bleu score precision recall map iou miou dice rouge meteor "
    "reward return r2 throughput psnr ssim ndcg mrr elo"
)
"""Words in a metric's name from which it is guessed whether less or more is better."""

GUESSED = "guessed from its name"
_HELD_OUT = re.compile(r"(?i)\b(?:val|valid|validation|eval|test)(?:\b|_)")
_WORDS = re.compile(r"[A-Z]?[a-z]+[0-9]?|[A-Z]+[0-9]?(?![a-z])")
_LATEST = datetime.max.replace(tzinfo=UTC)


class Unclear(Exception):
    """The metric, or its direction, was neither given nor set, and cannot be guessed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """What is best: the metric, whether less of it is better, and how that is known, in words."""

    metric: str
    lower: bool
    how: str

    @property
    def words(self) -> str:
        """For a person: `least val_loss (guessed from its name)`."""
        return f"{'least' if self.lower else 'greatest'} {safe(self.metric)} ({self.how})"


def headline(tag: str | None) -> tuple[str, bool] | None:
    """Metric and whether less is better, out of `metric:min` or `metric:max`; None for others."""
    metric, colon, direction = (tag or "").rpartition(":")
    if not colon or not metric.strip() or direction.strip() not in ("min", "max"):
        return None
    return metric.strip(), direction.strip() == "min"


def guessed(metric: str) -> bool | None:
    """Whether less is better, by the words of the name; None where they do not tell.

    A name with words of both kinds (`score_error`) does not tell.
    """
    found = [word.lower() for word in _WORDS.findall(metric)]
    words = {*found, *(word.rstrip("0123456789") for word in found)}
    less, more = bool(words & LESS), bool(words & MORE)
    return less if less != more else None


def aim(metric: str | None, lower: bool | None, tag: str | None) -> Aim:
    """What is asked for, then what the experiment's headline says, then a guess by the name.

    Raises:
        Unclear: there is no metric, or nothing tells whether less or more is better.
    """
    set_ = headline(tag)
    if metric is None:
        if set_ is None:
            raise Unclear(
                "no metric is given, and the experiment has no headline: --metric NAME says which"
            )
        metric = set_[0]
    if lower is not None:
        return Aim(metric=metric, lower=lower, how="as asked")
    if set_ is not None and set_[0] == metric:
        return Aim(metric=metric, lower=set_[1], how="the experiment's headline")
    guess = guessed(metric)
    if guess is None:
        raise Unclear(
            f"whether less or more {safe(metric)} is better cannot be told from its name: "
            "--min or --max says it"
        )
    return Aim(metric=metric, lower=guess, how=GUESSED)


def tells(metric: str) -> bool:
    """Whether a metric's name alone lets guess that it measures what was learned, and how."""
    return not metric.startswith((SYSTEM, OURS)) and guessed(metric) is not None


def counted(runs: Iterable[TrackedRun]) -> Counter[str]:
    """Metric -> how many of these runs have it."""
    return Counter(key for run in runs for key in run.metrics)


def likely(counts: Mapping[str, int]) -> Aim | None:
    """What an experiment without a headline is likely about, guessed by the names of its metrics.

    The metric that most runs have among those whose direction can be guessed, one of a validation
    or test before one of the training. None where there is no such metric.
    """
    able = [key for key in counts if tells(key)]
    if not able:
        return None
    metric = min(able, key=lambda key: (not _HELD_OUT.search(key), -counts[key], key))
    return Aim(metric=metric, lower=bool(guessed(metric)), how=GUESSED)


def aim_of(tag: str | None, counts: Mapping[str, int]) -> Aim | None:
    """What an experiment is about: its headline, else what is likely by its metrics' names."""
    try:
        return aim(None, None, tag)
    except Unclear:
        return likely(counts)


def ranked(
    runs: Sequence[TrackedRun], values: Mapping[str, float], *, lower: bool
) -> tuple[TrackedRun, ...]:
    """The runs with a finite value, the best first; equals by their start, the earlier first.

    `values` is MLflow run id -> the value that stands for the run. NaN and infinities are no best.
    """
    return tuple(sorted(_able(runs, values), key=_place(values, lower)))


def first(
    runs: Sequence[TrackedRun], values: Mapping[str, float], *, lower: bool
) -> TrackedRun | None:
    """The first of `ranked`; None where no run has a finite value."""
    return min(_able(runs, values), key=_place(values, lower), default=None)


def _able(runs: Sequence[TrackedRun], values: Mapping[str, float]) -> list[TrackedRun]:
    return [run for run in runs if math.isfinite(values.get(run.run_id, math.nan))]


def _place(
    values: Mapping[str, float], lower: bool
) -> Callable[[TrackedRun], tuple[float, datetime, str]]:
    sign = 1 if lower else -1
    return lambda run: (sign * values[run.run_id], run.started_at or _LATEST, run.run_id)
