"""How many sessions the student can answer at once in the memory that is free."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from transformers import PreTrainedModel

_SPARE = 0.5  # of what is free stays so: rows are copied when some end, and others may be at work
_WIDTHS_HELD = 8  # hidden states that a layer holds at once while it reads

T = TypeVar("T")


@dataclass(frozen=True)
class Appetite:
    """Bytes that a student takes for a token: ``kept`` in the cache of keys and values, ``read`` while it is read."""

    kept: int
    read: int

    @classmethod
    def of(cls, model: PreTrainedModel) -> Appetite:
        """Work it out from the model's sizes and the type of its weights."""
        sizes = model.config.get_text_config()
        heads = sizes.num_attention_heads
        width = getattr(sizes, "head_dim", None) or sizes.hidden_size // heads
        kept = 2 * sizes.num_hidden_layers * (getattr(sizes, "num_key_value_heads", None) or heads) * width
        inner = getattr(sizes, "intermediate_size", None) or 4 * sizes.hidden_size
        inner = inner if isinstance(inner, int) else max(inner)  # some have one a layer
        read = _WIDTHS_HELD * sizes.hidden_size + 2 * inner
        bytes_each = model.dtype.itemsize
        return cls(kept * bytes_each, read * bytes_each)

    def of_rows(self, tokens: int, rows: int, samples: int) -> int:
        """Bytes for ``rows`` prompts of ``tokens`` tokens with ``samples`` answers each.

        The prompts are kept once as read and once to go on from; samples have rows of their own from where they differ.
        """
        return rows * tokens * (self.read + self.kept * (2 + samples))


def portions(
    values: Sequence[T], tokens: Sequence[int], appetite: Appetite, samples: int, free: int
) -> Iterator[list[T]]:
    """Yield the values in order, as many at a time as have room in ``free`` bytes, and at least one.

    ``tokens`` is the length of each one's prompt; those of a portion are padded to its longest.
    """
    portion: list[T] = []
    longest = 0
    for value, length in zip(values, tokens, strict=True):
        longest = max(longest, length)
        if portion and appetite.of_rows(longest, len(portion) + 1, samples) > _SPARE * free:
            yield portion
            portion, longest = [], length
        portion.append(value)
    if portion:
        yield portion
