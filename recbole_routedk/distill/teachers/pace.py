"""How many requests may be under way at an endpoint that limits the rate."""

from __future__ import annotations

import asyncio
import logging

logger = logging.getLogger(__name__)

_FIRST_WAIT = 1.0
_LONGEST_WAIT = 60.0


class Pace:
    """Slots for requests: half as many after each limit, one more after as many answers as there are slots."""

    def __init__(self, most: int, first_wait: float = _FIRST_WAIT) -> None:
        """Start with ``most`` slots; the wait in seconds starts at ``first_wait`` and doubles with each limit.

        ``allowed`` is how many slots there are now, ``total`` how many requests went through.
        """
        self.allowed, self.total = most, 0
        self._most, self._first_wait = most, first_wait
        self._wait = first_wait
        self._busy = 0
        self._answered = 0
        self._not_before = 0.0
        self._freed = asyncio.Condition()

    async def __aenter__(self) -> None:
        """Take a slot, when one is free and the time to wait is over."""
        async with self._freed:
            await self._freed.wait_for(lambda: self._busy < self.allowed)
            self._busy += 1
        try:
            while (left := self._not_before - asyncio.get_running_loop().time()) > 0:
                await asyncio.sleep(left)
        except asyncio.CancelledError:
            self._busy -= 1
            raise

    async def __aexit__(self, *_: object) -> None:
        """Give the slot back."""
        async with self._freed:
            self._busy -= 1
            self._freed.notify_all()

    def limited(self, retry_after: float | None) -> None:
        """Note that the endpoint refused a request for the rate, and asked for ``retry_after`` seconds."""
        now = asyncio.get_running_loop().time()
        if now < self._not_before:
            return  # one of the requests that were under way when the limit was noted
        before, self.allowed, self._answered = self.allowed, max(1, self.allowed // 2), 0
        wait = min(_LONGEST_WAIT, self._wait if retry_after is None else max(retry_after, self._first_wait))
        self._not_before, self._wait = now + wait, min(_LONGEST_WAIT, 2 * self._wait)
        logger.warning(
            "The teacher's endpoint limits the rate: waiting %.1f s; at most %d requests at a time, before %d",
            wait,
            self.allowed,
            before,
        )

    def answered(self) -> None:
        """Note that a request went through."""
        self.total += 1
        self._answered += 1
        if self._answered >= self.allowed:
            self._answered, self._wait = 0, self._first_wait
            self.allowed = min(self._most, self.allowed + 1)
