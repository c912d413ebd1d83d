"""What requests cost: prices in US dollars per million tokens, and tokens counted before a server counts them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recbole_routedk.distill.teachers.protocol import Identity, Request, Usage
from recbole_routedk.errors import UserError

CHARACTERS_PER_TOKEN = 4
"""Of English text, for an estimate where no tokenizer is at hand."""
_MESSAGE_TOKENS = 4
_MOST_MESSAGE_TOKENS = 16
"""Tokens around each message: role and separators of chat templates."""


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million input and output tokens."""

    input: float
    output: float

    def cost(self, usage: Usage) -> float:
        """Return US dollars."""
        return (usage.input_tokens * self.input + usage.output_tokens * self.output) / 1e6


FREE = Price(0.0, 0.0)


def price_of(identity: Identity, table: Any) -> Price | None:
    """Return the price of a teacher in ``teacher_prices``; None where it is not known.

    A teacher without an endpoint runs on this machine and is free unless the table says otherwise. Raises
    UserError for a table that is none.
    """
    prices = _read_prices(table)
    return prices.get(identity.model, None if identity.endpoint else FREE)


def how_to_price(model: str) -> str:
    """Say what to set for a model without a price."""
    return f"give its price per million tokens: --teacher_prices='{{{model}: {{input: 0.15, output: 0.60}}}}'"


def estimated_tokens(text: str) -> int:
    """Estimate the tokens of a text by its characters."""
    return math.ceil(len(text) / CHARACTERS_PER_TOKEN)


def estimated_input(request: Request) -> int:
    """Estimate the input tokens of a request by its characters."""
    return sum(estimated_tokens(message.content) + _MESSAGE_TOKENS for message in request.messages)


def most_usage(request: Request) -> Usage:
    """Return more tokens than a request can use: a byte-level tokenizer makes no more tokens than bytes."""
    sizes = (len(message.content.encode("utf-8", "surrogatepass")) for message in request.messages)
    return Usage(sum(size + _MOST_MESSAGE_TOKENS for size in sizes), request.sampling.max_tokens)


def _read_prices(table: Any) -> dict[str, Price]:
    if not isinstance(table or {}, Mapping):
        raise UserError("teacher_prices: has to be {model: {input: 0.15, output: 0.60}, ...}")
    return {str(model): _read_price(str(model), entry) for model, entry in (table or {}).items()}


def _read_price(model: str, entry: Any) -> Price:
    if isinstance(entry, Mapping) and set(entry) == {"input", "output"}:
        amounts = [entry["input"], entry["output"]]
        # Written so that NaN is refused.
        if all(type(amount) in (int, float) and 0 <= amount < math.inf for amount in amounts):
            return Price(*map(float, amounts))
    raise UserError(
        f"teacher_prices: {model} has to be {{input: 0.15, output: 0.60}}, in US dollars per million tokens"
    )
