"""A teacher with a purse: it asks nothing that might cost more than what is left."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from recbole_routedk.distill.pricing import Price, how_to_price, most_usage
from recbole_routedk.distill.teachers.protocol import (
    Identity,
    Request,
    Response,
    Teacher,
    Usage,
    is_deterministic,
)
from recbole_routedk.errors import UserError


class BudgetReachedError(UserError):
    """The next request might pass the budget; everything answered so far has been handed out."""


class BudgetedTeacher:
    """A teacher around a teacher that stops before ``budget`` US dollars are passed.

    Every request under way counts at its worst case: one token a byte in, ``max_tokens`` out. So does a failed
    one of which the endpoint told no usage, since it may be billed.
    """

    def __init__(self, teacher: Teacher, price: Price | None, budget: float, setting: str = "--budget") -> None:
        """``setting`` is what users call the budget.

        Raises:
            UserError: a budget that is no amount, or a teacher without a price.
        """
        if not 0 <= budget < math.inf:
            raise UserError(f"{setting} has to be an amount in US dollars, not {budget}")
        if price is None:
            model = teacher.identity.model
            raise UserError(f"{setting}: the price of {model} is not known; {how_to_price(model)}")
        self._teacher, self._price, self.budget = teacher, price, budget
        self._setting = setting
        self.spent = 0.0
        self.uncertain = 0.0
        self._reserved = 0.0
        self._held: Request | None = None

    @property
    def identity(self) -> Identity:
        """That of the inner teacher."""
        return self._teacher.identity

    @property
    def deterministic(self) -> bool:
        """Whether the inner teacher is."""
        return is_deterministic(self._teacher)

    def complete(self, requests: Iterable[Request]) -> Iterator[Response]:
        """Yield responses while the budget lasts.

        Raises BudgetReachedError once nothing is under way and the next request at its worst does not fit.
        """
        source = iter(requests)
        while (request := self._held or next(source, None)) is not None:
            self._held = request
            if not self._fits(request):
                self._held = None
                raise BudgetReachedError(self._message(request))
            for response in self._teacher.complete(self._affordable(source)):
                self._settle(response)
                yield response
            self.uncertain += self._reserved  # of requests that the teacher gave no response to
            self._reserved = 0.0

    def _affordable(self, source: Iterator[Request]) -> Iterator[Request]:
        """Yield requests until one does not fit beside those under way; that one is held."""
        while (request := self._held or next(source, None)) is not None:
            self._held = request
            if not self._fits(request):
                return
            self._held = None
            self._reserved += self._worst(request)
            yield request

    def _fits(self, request: Request) -> bool:
        return self.spent + self.uncertain + self._reserved + self._worst(request) <= self.budget

    def _worst(self, request: Request) -> float:
        return self._price.cost(most_usage(request))

    def _settle(self, response: Response) -> None:
        worst = self._worst(response.request)
        self._reserved = max(0.0, self._reserved - worst)
        if response.usage != Usage():
            self.spent += self._price.cost(response.usage)
        else:
            self.uncertain += worst

    def _message(self, request: Request) -> str:
        uncertain = f", and at most ${self.uncertain:.4f} for requests of unknown usage" if self.uncertain else ""
        return (
            f"{self._setting}={self.budget:g}: ${self.spent:.4f} is spent{uncertain}; the next request might cost "
            f"${self._worst(request):.4f}. Every answer so far is kept: "
            f"the same command with a new {self._setting} goes on"
        )
