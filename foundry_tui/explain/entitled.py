"""What the run's owner may use: limits of QOS and account, and lost permissions."""

from __future__ import annotations

from dataclasses import replace

from foundry_tui.estate.gpu import WHOLE_MILLI
from foundry_tui.explain import fit, limits, moves, say
from foundry_tui.explain.case import Case
from foundry_tui.explain.holds import diagnosis
from foundry_tui.explain.limits import Bound
from foundry_tui.explain.verdict import Candidate, Deed, Diagnosis, Kind
from foundry_tui.explain.words import kind_of


def limit(case: Case) -> Diagnosis | None:
    """A limit of the QOS or the account is used up, or too small for the run."""
    found = limits.bounds(case, case.run)
    if not found:
        return _limit_by_word(case)
    bound = found[0]
    per_qos = bound.limit.scope in ("qos", "user_of_qos")
    kind = Kind.QOS_LIMIT if per_qos else Kind.ASSOCIATION_LIMIT
    rule, use = limits.rule(bound, case.run), limits.use(bound, case.run)
    evidence = [f"limits: {rule}", f"job list: {use}"]
    evidence += [f"limits: {limits.rule(b, case.run)} (also in the way)" for b in found[1:]]
    name = f"{'QOS' if per_qos else 'account'} {bound.limit.name}"
    never = "can never start: " if bound.never else ""
    return diagnosis(
        case,
        kind,
        f"{'it ' if never else ''}{never}{rule}, and {use}",
        evidence,
        *moves.other_qos(case),
        *moves.other_accounts(case),
        *_within(case, found),
        *_wait(found),
        moves.ask(f"an administrator raises the limit of {name}"),
    )


def _limit_by_word(case: Case) -> Diagnosis | None:
    """The scheduler names a limit; the lists do not show one that binds, or show none at all."""
    kind = kind_of(case.reason)
    if kind not in (Kind.QOS_LIMIT, Kind.ASSOCIATION_LIMIT):
        return None
    name = f"QOS {case.run.qos}" if kind is Kind.QOS_LIMIT else f"account {case.run.account}"
    if case.limits:
        evidence = "limits: none that is known binds it now, so the word may be old"
    else:
        evidence = "limits: unknown" + (
            f" ({case.rights.reason})" if case.rights and case.rights.reason else ""
        )
    return diagnosis(
        case,
        kind,
        f"a limit of {name} keeps it waiting: {case.reason}",
        [evidence],
        *moves.other_qos(case),
        *moves.other_accounts(case),
        Candidate(sentence="wait for room under the limit", act=Deed.WAIT, what_if=False),
        moves.ask(f"an administrator raises the limit of {name}"),
    )


def _wait(found: tuple[Bound, ...]) -> tuple[Candidate, ...]:
    """Waiting for the holders to end; none where the run alone is over a limit."""
    if any(b.never for b in found):
        return ()
    holders = tuple({r.id: r for b in found for r in b.holders}.values())
    ends = [limits.free_at(b) for b in found]
    return (
        Candidate(
            sentence=f"wait for {say.runs(holders)} to end",
            act=Deed.WAIT,
            what_if=False,
            not_before=None if None in ends else max(e for e in ends if e),
        ),
    )


def _within(case: Case, found: tuple[Bound, ...]) -> tuple[Candidate, ...]:
    """The run made small enough for what all these limits leave, where that is possible."""
    request, wanted = case.run.request, fit.demand(case)
    what = found[0].limit.what.removesuffix(limits.PER_RUN)
    left = int(min(b.left for b in found if b.limit.what.removesuffix(limits.PER_RUN) == what))
    each = left if wanted.spread else left // wanted.nodes
    offer: tuple[Candidate, ...]
    if what == "time_s":
        smaller = replace(request, time_limit_s=left)
        words = f"ask for {say.span(left)}, after which it would be ended"
        offer = (moves.change(case, words, ("time_limit_s", str(left))),)
    elif what == "nodes":
        smaller = replace(request, nodes=left)
        words = f"ask for {say.counted(left, 'node')} instead of {request.nodes}"
        offer = (moves.change(case, words, ("nodes", str(left))),)
    elif what == "gpus":
        count = each * (1 if wanted.spread else wanted.nodes)
        smaller = replace(request, gpu_count=count, gpu_milli=WHOLE_MILLI * count)
        offer = moves.fewer_gpus(case, wanted, each, "the limit leaves no more")
    else:
        return ()
    fits = left > 0 and not limits.bounds(case, replace(case.run, request=smaller))
    return offer if fits else ()


def not_permitted(case: Case) -> Diagnosis | None:
    """The scheduler no longer accepts the account or the QOS that the run was submitted with."""
    if kind_of(case.reason) is not Kind.ACCOUNT:
        return None
    run = case.run
    evidence = [f"job list: account {run.account}, QOS {run.qos}"]
    if case.associations is not None:
        names = [f"{a.account} ({', '.join(a.qos)})" for a in case.associations]
        evidence.append(f"accounts: {run.user} may use {say.listed(names) or 'none'}")
    what = f"QOS {run.qos}" if "QOS" in case.reason else f"account {run.account}"
    return diagnosis(
        case,
        Kind.ACCOUNT,
        f"{run.user} may no longer use {what} for it",
        evidence,
        *moves.other_qos(case),
        *moves.other_accounts(case),
        moves.ask(f"an administrator lets {run.user} use {what}"),
    )
