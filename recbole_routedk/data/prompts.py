"""Turns sessions, knowledge and answers into the student's tokens.

A prompt has two parts. The *prefix* lists the items and is the same whatever is known about the session, so
one prefill of it serves every view and every sample. The *suffix* holds the view's knowledge, if any, and
asks for the bundles. Titles are untrusted text: they are cleaned, cut, and encoded apart from the rest with
special tokens switched off, so no title can end its line, open a new one or close the prompt.
"""

from __future__ import annotations

import html
import string
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache

from transformers import PreTrainedTokenizerBase

from recbole_routedk.data.session import Bundle, Item, Session
from recbole_routedk.errors import UserError

SEPARATOR = ";"
START = "--\n"
ASK = "\nBundles:"
_INSTRUCTION = "Find the items that belong together.\n"
_UNTITLED = "(no title)"
# A title is cut in characters before it is encoded, so that a title of a megabyte costs nothing.
_CHARACTERS_PER_TOKEN = 12

Part = str | int
"""A piece of knowledge text: literal text, or the position of an item, written as its label."""


def label_texts() -> list[str]:
    """Return the candidate labels in order: A to Z, a to z, then pairs of capitals."""
    capitals = string.ascii_uppercase
    return [*capitals, *string.ascii_lowercase, *(first + second for first in capitals for second in capitals)]


def clean_title(title: str) -> str:
    """Return the title on one line, HTML entities resolved, without control, bidi and other invisible characters."""
    text = html.unescape(title)
    visible = (" " if ch.isspace() else ch for ch in text if ch.isspace() or _is_visible(ch))
    return " ".join("".join(visible).split()) or _UNTITLED


def _is_visible(character: str) -> bool:
    return unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn"}


def canonical_order(bundles: Iterable[Bundle]) -> list[tuple[int, ...]]:
    """Return the distinct bundles as ascending tuples in lexicographic order: one text for one set of bundles."""
    return sorted({tuple(sorted(bundle)) for bundle in bundles})


class PromptEncoder:
    """Encodes prompts for one tokenizer.

    Args:
        tokenizer: the student's tokenizer.
        title_tokens: tokens kept of each title.
        max_items: the longest session that can be labelled.

    Raises:
        UserError: the tokenizer has too few single-token labels for ``max_items``, or no end token.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, title_tokens: int, max_items: int) -> None:
        self._tokenizer = tokenizer
        self._title_tokens = title_tokens
        self.max_items = max_items
        self.labels, self.label_ids = self._single_token_labels(max_items)
        separator = self._encode(SEPARATOR)
        if len(separator) != 1 or tokenizer.eos_token_id is None:
            raise UserError("student: its tokenizer needs ';' as a single token and an end-of-text token")
        self.separator_id: int = separator[0]
        self.end_id: int = tokenizer.eos_token_id
        self.start_ids: list[int] = self._encode(START)
        self.ask_ids: list[int] = self._encode(ASK)
        self._opening = self._encode(_INSTRUCTION)
        self._colon = self._encode(":")
        self._newline = self._encode("\n")
        self._encode_title = lru_cache(maxsize=65536)(self._encode_title_uncached)

    def _single_token_labels(self, count: int) -> tuple[list[str], list[int]]:
        labels, ids = [], []
        for text in label_texts():
            encoded = self._encode(" " + text)
            if len(encoded) == 1:
                labels.append(text)
                ids.append(encoded[0])
            if len(ids) == count:
                return labels, ids
        raise UserError(
            f"max_items: {count} labels are wanted but the student's tokenizer has {len(ids)} single-token ones; "
            f"set max_items to at most {len(ids)}"
        )

    def _encode(self, text: str) -> list[int]:
        # split_special_tokens: text that looks like a special token is encoded as the characters it is.
        return self._tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]

    def _encode_title_uncached(self, title: str) -> tuple[int, ...]:
        text = clean_title(title)[: _CHARACTERS_PER_TOKEN * self._title_tokens]
        return tuple(self._encode(" " + text)[: self._title_tokens])

    def prefix(self, session: Session) -> list[int]:
        """Return the tokens that list the session's items.

        Raises:
            UserError: the session has more than ``max_items`` items.
        """
        if len(session) > self.max_items:
            raise UserError(
                f"session {session.session_id!r} has {len(session)} items; max_items is {self.max_items}: raise it"
            )
        tokens = list(self._opening)
        for position, item in enumerate(session.items):
            tokens += self._item_line(position, item)
        return tokens

    def _item_line(self, position: int, item: Item) -> list[int]:
        # Four times what is kept, because cleaning shortens; cut before the cache, which would hold it whole.
        title = item.title[: 4 * _CHARACTERS_PER_TOKEN * self._title_tokens]
        return [self.label_ids[position], *self._colon, *self._encode_title(title), *self._newline]

    def suffix(self, knowledge: Sequence[Part] = (), ask: str = ASK) -> list[int]:
        """Return the tokens of the knowledge, if any, and of the question, by default that for the bundles.

        They begin with ``start_ids``, from which on the experts act.
        """
        return [*self.start_ids, *self.knowledge(knowledge), *(self.ask_ids if ask == ASK else self._encode(ask))]

    def knowledge(self, parts: Sequence[Part]) -> list[int]:
        """Return the tokens of knowledge, to be read or to be written."""
        tokens: list[int] = []
        for part in parts:
            tokens += [self.label_ids[part]] if isinstance(part, int) else self._encode(clean_line(part))
        return tokens

    def answer(self, bundles: Iterable[Bundle]) -> list[int]:
        """Return the canonical answer with its end token."""
        tokens: list[int] = []
        for bundle in canonical_order(bundles):
            if tokens:
                tokens.append(self.separator_id)
            tokens += [self.label_ids[position] for position in bundle]
        return [*tokens, self.end_id]

    def alphabet(self, items: int) -> list[int]:
        """Return the token ids of an answer over ``items`` items: labels, then separator, then end."""
        return [*self.label_ids[:items], self.separator_id, self.end_id]


def clean_line(text: str) -> str:
    """Return knowledge text without invisible characters; its spaces at the ends are kept."""
    return "".join(ch for ch in text if _is_visible(ch))
