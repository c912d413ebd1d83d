"""Turns a conversation into tokens by the model's own chat template, its contents being text and nothing else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from jinja2.exceptions import TemplateError
from transformers import PreTrainedTokenizerBase

from recbole_routedk.distill.teachers.protocol import Message

Turn = tuple[str, str]
"""A role and what it says."""
TokenTurn = tuple[str, Sequence[int]]

_SLOT = "Slot{}EndOfSlot"
_ANY_SLOT = re.compile(r"Slot(\d+)EndOfSlot")


class ConversationEncoder:
    """Encodes conversations for one tokenizer.

    The template is rendered around placeholders and each content is encoded by itself, so that no content, such as a
    title that holds ``<|im_end|>``, becomes a special token or a turn of its own.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        # A token of one character is no markup: Gemma's newline is one.
        added = sorted((token for token in tokenizer.get_added_vocab() if len(token) > 1), key=len, reverse=True)
        self._markup = re.compile("|".join(map(re.escape, added))) if added else None

    def encode(self, messages: Sequence[Message]) -> list[int]:
        """Return the tokens of a conversation up to where the model's next answer starts."""
        turns: list[Turn] = [(message.role, message.content) for message in messages]
        for form in (turns, _without_system(turns)):
            rendered = self._rendered([role for role, _ in form])
            if rendered is not None:
                return self._filled(rendered, [self.plain(content) for _, content in form])
        text = "".join(f"{content}\n\n" for _, content in turns)
        return self._tokenizer("")["input_ids"] + self.plain(text)

    def encode_turns(self, turns: Sequence[TokenTurn]) -> list[int]:
        """Return the tokens of a conversation whose contents are tokens already; each stands there as it is."""
        for form in (turns, self._token_turns_without_system(turns)):
            rendered = self._rendered([role for role, _ in form])
            if rendered is not None:
                return self._filled(rendered, [content for _, content in form])
        gap = self.plain("\n\n")
        return [*self._tokenizer("")["input_ids"], *(token for _, content in turns for token in [*content, *gap])]

    def _token_turns_without_system(self, turns: Sequence[TokenTurn]) -> Sequence[TokenTurn]:
        if [role for role, _ in turns[:2]] != ["system", "user"]:
            return turns
        return [("user", [*turns[0][1], *self.plain("\n\n"), *turns[1][1]]), *turns[2:]]

    def _rendered(self, roles: Sequence[str]) -> str | None:
        """The template with a slot for each content; None where there is none, or it knows no such roles."""
        if not self._tokenizer.chat_template:
            return None
        slots = [{"role": role, "content": _SLOT.format(place)} for place, role in enumerate(roles)]
        try:
            text: Any = self._tokenizer.apply_chat_template(
                slots,
                tokenize=False,
                add_generation_prompt=True,
                enable_thinking=False,  # read by templates of reasoning models: the answer is JSON alone
            )
        except TemplateError:
            return None
        return text if {int(slot) for slot in _ANY_SLOT.findall(text)} == set(range(len(roles))) else None

    def _filled(self, rendered: str, contents: Sequence[Sequence[int]]) -> list[int]:
        ids: list[int] = []
        for place, piece in enumerate(_ANY_SLOT.split(rendered)):
            if place % 2:
                ids += contents[int(piece)]
            elif piece:
                ids += self._tokenizer(piece, add_special_tokens=False, split_special_tokens=False)["input_ids"]
        return ids

    def plain(self, text: str) -> list[int]:
        """Return the tokens of text as text, whatever it looks like."""
        # split_special_tokens leaves tokens such as <think> alone, which are added but not "special": cut them.
        cuts = [0]
        while self._markup and (match := self._markup.search(text, cuts[-1])):
            cuts.append(match.start() + 1)
        ids: list[int] = []
        for start, end in zip(cuts, [*cuts[1:], len(text)], strict=True):
            if start < end:
                ids += self._tokenizer(text[start:end], add_special_tokens=False, split_special_tokens=True)[
                    "input_ids"
                ]
        return ids


def _without_system(turns: list[Turn]) -> list[Turn]:
    """The same with the system's words at the head of the user's first turn, for templates without a system."""
    if len(turns) < 2 or turns[0][0] != "system" or turns[1][0] != "user":
        return turns
    return [("user", f"{turns[0][1]}\n\n{turns[1][1]}"), *turns[2:]]
