"""What a check is: what it measures, the limit, and how it ended. Knows no sweep and starts nothing."""

import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Callable

import compare


ENDED_EARLY = "nothing can be checked before what failed works"


class Failed(Exception):
    """What was checked does not hold, or could not be looked at."""


class Skipped(Exception):
    """There is nothing to check here, and why."""


@dataclass
class Check:
    """A line of the table. `measure` returns a figure, or raises `Failed` or `Skipped`."""

    what: str
    # The figure must not be above a number; a text says what `measure` itself demands.
    limit: float | str
    measure: Callable[[], float | str]
    # Without it nothing else can be done.
    is_needed: bool = False


@dataclass
class Outcome:
    check: Check
    figure: float | str
    verdict: str
    reason: str = ""


def once(make):
    """A property that is made at its first use. If it fails, it fails again at every use, and is not tried again."""
    kept = f"_{make.__name__}"

    def get(self):
        if kept not in vars(self):
            try:
                vars(self)[kept] = make(self), None
            except Exception as error:
                vars(self)[kept] = None, error
        value, error = vars(self)[kept]
        if error:
            raise error
        return value

    return property(get, doc=make.__doc__)


def carry_out(check):
    """The outcome of one check. One that breaks has failed."""
    try:
        figure = check.measure()
    except Skipped as why:
        return Outcome(check, "", "skipped", str(why))
    except Failed as why:
        return Outcome(check, "", "FAILED", str(why))
    except (OSError, ArithmeticError, LookupError, ValueError, TypeError, subprocess.SubprocessError) as error:
        return Outcome(check, "", "FAILED", f"the check broke: {type(error).__name__}: {error}")
    # Written so that NaN is above every limit.
    if isinstance(check.limit, float) and not figure <= check.limit:
        return Outcome(check, figure, "FAILED", "above the limit")
    return Outcome(check, figure, "ok")


def carry_out_all(checks):
    """The outcomes of all checks, one after the other, told while they come."""
    outcomes, is_over = [], False
    for check in checks:
        if is_over:
            outcomes.append(Outcome(check, "", "skipped", ENDED_EARLY))
            continue
        begun, outcome = time.monotonic(), carry_out(check)
        is_over = check.is_needed and outcome.verdict != "ok"
        print(f"{time.monotonic() - begun:6.1f} s  {outcome.verdict:<7}  {check.what}"
              f"{f': {outcome.reason}' if outcome.reason else ''}", file=sys.stderr, flush=True)
        outcomes.append(outcome)
    return outcomes


def text(figure):
    return figure if isinstance(figure, str) else f"{figure:.2g}"


def tell(outcomes):
    """Prints the table, and below it why checks failed or were skipped. Returns the exit code."""
    compare.table(("check", "figure", "limit", ""), [
        (outcome.check.what, text(outcome.figure), text(outcome.check.limit), outcome.verdict) for outcome in outcomes])
    reasons = {}
    for outcome in outcomes:
        if outcome.reason:
            reasons.setdefault((outcome.verdict, outcome.reason), []).append(outcome.check.what)
    for (verdict, reason), checks in reasons.items():
        print(f"\n{verdict}: {reason}")
        for check in checks if reason != ENDED_EARLY else []:
            print(f"    {check}")
    passed, failed, skipped = ([outcome.verdict for outcome in outcomes].count(verdict)
                               for verdict in ("ok", "FAILED", "skipped"))
    print(f"\n{passed} ok, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0
