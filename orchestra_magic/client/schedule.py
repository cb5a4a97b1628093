"""When to look at a run again: often at first, then ever less, and never by the clock alone."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from ..errors import (
    NotFound,
    OrchestraAuthError,
    OrchestraConfigError,
    OrchestraConnectionError,
    OrchestraError,
    ServerError,
)

SHARE = 0.12
"""An interval is this share of the run's age: the delay stays under 15 % + 0.3 s with 29 requests in 20 s."""
SHORTEST, LONGEST = 0.25, 30.0
HOLD = 20.0
"""Seconds that a server which can is asked to hold its answer until something changes."""
REQUESTS_PER_SECOND = 20.0
"""What the watcher asks for at most, however many runs it follows; as many may come at once."""
HOLD_TOLD = 1.0
"""The same while someone is told how the run goes: the seconds that it takes are part of that."""
GRACE = 15.0
"""Seconds after a start in which a server may not know the run yet."""


def interval(age: float) -> float:
    """Return the seconds to wait before the next look at a run that is ``age`` seconds old."""
    return min(LONGEST, max(SHORTEST, SHARE * age)) * random.uniform(0.9, 1.1)  # noqa: S311  (no secret)


def passing(error: OrchestraError) -> bool:
    """Whether a look that failed like this is worth another: 5xx, 429 and a broken line, but no refusal."""
    if isinstance(error, OrchestraAuthError | NotFound | OrchestraConfigError):
        return False
    if isinstance(error, ServerError):
        return error.status is None or error.status >= 500 or error.status in {200, 408, 425, 429}
    return isinstance(error, OrchestraConnectionError)


@dataclass
class Pace:
    """The looks at one run: how old it is and how often the last looks failed."""

    age: float = 0.0
    failures: int = field(default=0)

    def after(self, error: OrchestraError | None) -> float:
        """Return the seconds to wait after a look that went well (None) or failed in passing."""
        if error is None:
            self.failures = 0
            return interval(self.age)
        self.failures += 1
        asked = error.retry_after if isinstance(error, ServerError) else None
        back_off: float = min(LONGEST, SHORTEST * 2**self.failures)
        return max(asked or 0.0, back_off, interval(self.age))


@dataclass
class Budget:
    """What bounds the requests of one thread: a second's worth may come at once, and then at the rate.

    Examples
    --------
    >>> budget = Budget(rate=20)
    >>> [budget.take(now=100.0) for _ in range(20)] == [0.0] * 20
    True
    >>> round(budget.take(now=100.0), 3), round(budget.take(now=100.0), 3)
    (0.05, 0.1)
    """

    rate: float = REQUESTS_PER_SECOND
    spent_until: float = float("-inf")

    def take(self, now: float) -> float:
        """Take one request at the time ``now`` (s), and return the seconds to wait before it is sent."""
        self.spent_until = max(self.spent_until, now - 1.0) + 1.0 / self.rate
        return max(0.0, self.spent_until - now)
