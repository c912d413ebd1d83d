"""The answer grammar as a state machine: which tokens may follow, so that no invalid answer can be written.

An answer is a list of bundles in strictly ascending lexicographic order, each an ascending list of at least
two items of the session, separated by a separator and closed by an end token. Every set of bundles has
exactly one such text. Symbols are numbered 0..n-1 for the items, n for the separator, n+1 for the end.
"""

from __future__ import annotations

import copy

from recbole_routedk.data.session import Bundle


class AnswerState:
    """The answer written so far for a session of ``items`` items, with at most ``budget`` symbols in all.

    Raises:
        ValueError: fewer than two items, or a budget that cannot hold the shortest answer (three symbols).
    """

    def __init__(self, items: int, budget: int) -> None:
        if items < 2 or budget < 3:
            raise ValueError(f"no answer fits {items} items and a budget of {budget} symbols")
        self.items = items
        self.finished = False
        self._left = budget
        self._done: list[tuple[int, ...]] = []
        self._open: list[int] = []

    @property
    def separator(self) -> int:
        """The separator's symbol."""
        return self.items

    @property
    def end(self) -> int:
        """The end's symbol."""
        return self.items + 1

    @property
    def bundles(self) -> tuple[Bundle, ...]:
        """The bundles closed so far."""
        return tuple(frozenset(bundle) for bundle in self._done)

    def copy(self) -> AnswerState:
        """Return the same state, to be advanced apart."""
        twin = copy.copy(self)
        twin._done, twin._open = list(self._done), list(self._open)
        return twin

    def allowed(self) -> list[int]:
        """Return the symbols that may come next; never empty before the answer is finished."""
        if self.finished:
            return [self.end]
        symbols = self._allowed_items()
        if self._may_close():
            if self._left >= 4 and self._exceedable(tuple(self._open), 0):
                symbols.append(self.separator)
            symbols.append(self.end)
        return symbols

    def _allowed_items(self) -> list[int]:
        depth = len(self._open)
        # What must still follow an item: the second item of the bundle where it is missing, then the end.
        needed = 2 if depth == 0 else 1
        if self._left - 1 < needed:
            return []
        first = self._open[-1] + 1 if self._open else 0
        last = self.items - 2 if depth == 0 else self.items - 1
        previous = self._previous_if_tight()
        if previous is None or depth >= len(previous):
            return list(range(first, last + 1))
        # Equal so far to the bundle before: go above it, or stay equal where it can still be exceeded,
        # which takes one more item and the end.
        floor = previous[depth]
        symbols = list(range(max(first, floor + 1), last + 1))
        if self._exceedable(previous, depth + 1) and self._left - 1 >= 2:
            symbols.insert(0, floor)
        return symbols

    def _previous_if_tight(self) -> tuple[int, ...] | None:
        if not self._done:
            return None
        previous = self._done[-1]
        return previous if tuple(self._open) == previous[: len(self._open)] else None

    def _exceedable(self, previous: tuple[int, ...], depth: int) -> bool:
        """Whether some bundle that shares the first ``depth`` items with ``previous`` comes after it."""
        highest = self.items - 1
        if depth == 0:
            return previous[0] < highest - 1 or self._exceedable(previous, 1)
        if depth == len(previous):
            return previous[-1] < highest
        return previous[depth] < highest

    def _may_close(self) -> bool:
        if len(self._open) < 2:
            return False
        previous = self._previous_if_tight()
        return previous is None or len(self._open) > len(previous)

    def advance(self, symbol: int) -> None:
        """Append a symbol.

        Raises:
            ValueError: the symbol may not come next.
        """
        if self.finished:
            return
        if symbol not in self.allowed():
            raise ValueError(f"symbol {symbol} may not follow {self._done} {self._open}")
        self._left -= 1
        if symbol < self.items:
            self._open.append(symbol)
            return
        self._done.append(tuple(self._open))
        self._open = []
        self.finished = symbol == self.end
