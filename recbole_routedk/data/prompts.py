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
# Texts that a tokenizer joins with nothing that follows.
_MARKS = ("\n", ";", ":")
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
        title_tokens: tokens kept of each title, and of what the further fields of an item say.
        max_items: the longest session that can be labelled.

    Raises:
        UserError: the tokenizer has too few single-token labels for ``max_items``, no end token, or it cannot
            write the prompt, as one that drops line breaks.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, title_tokens: int, max_items: int) -> None:
        self._tokenizer = tokenizer
        self.title_tokens = title_tokens
        self.max_items = max_items
        self._begins_text = self._tokens("A") not in [self._tokens(mark + "A")[-1:] for mark in _MARKS]
        self._never_in_text = _line_breaks(tokenizer) | set(tokenizer.all_special_ids)
        self.labels, self.label_ids = self._single_token_labels(max_items)
        if tokenizer.eos_token_id is None:
            raise UserError("student: its tokenizer has no end-of-text token")
        self.end_id: int = tokenizer.eos_token_id
        self.separator_id = self._separator()
        self.start_ids: list[int] = self._written(START)
        self.ask_ids: list[int] = self._written(ASK)
        self._opening = [*self._lead(), *self._written(_INSTRUCTION)]
        self._colon = self._written(":")
        self._newline = self._written("\n")
        self._comma = self._encode(",")
        self._encode_title = lru_cache(maxsize=65536)(self._encode_title_uncached)

    def _single_token_labels(self, count: int) -> tuple[list[str], list[int]]:
        labels, ids = [], []
        for text in label_texts():
            encoded = self._encode(" " + text)
            # Two labels may be one token to a tokenizer that folds case or does not know them.
            if len(encoded) == 1 and encoded[0] not in ids and self._decoded(encoded).strip() == text:
                labels.append(text)
                ids.append(encoded[0])
            if len(ids) == count:
                return labels, ids
        raise UserError(
            f"max_items: {count} labels are wanted but the student's tokenizer has {len(ids)} single-token ones; "
            f"set max_items to at most {len(ids)}"
        )

    def _separator(self) -> int:
        encoded = self._encode(SEPARATOR)
        if len(encoded) != 1 or self._decoded([self.label_ids[0], *encoded]).count(SEPARATOR) != 1:
            raise UserError(f"student: its tokenizer needs {SEPARATOR!r} as a single token")
        return encoded[0]

    def _written(self, text: str) -> list[int]:
        """Encode a fixed part of the prompt, which must come through with its line breaks."""
        encoded = self._encode(text)
        between = self._decoded([self.label_ids[0], *encoded, self.label_ids[1]])
        # Spaces and case may differ: models with such tokenizers have never seen others.
        wanted, found = ("".join(each.split()).lower() for each in (text, between))
        if wanted not in found or between.count("\n") != text.count("\n"):
            raise UserError(
                f"student: its tokenizer cannot write {text!r} of the prompt (it becomes {self._decoded(encoded)!r}); "
                "use a student whose tokenizer keeps line breaks and punctuation"
            )
        return encoded

    def _lead(self) -> list[int]:
        """Return what the tokenizer puts before a text, such as a beginning-of-text token."""
        text = self._tokens("A")
        whole = list(self._tokenizer("A", add_special_tokens=True)["input_ids"])
        starts = [place for place in range(len(whole)) if whole[place : place + len(text)] == text]
        return whole[: starts[0]] if starts else []

    def _decoded(self, tokens: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(tokens)))

    def _encode(self, text: str) -> list[int]:
        """Encode ``text`` as it is encoded within a prompt."""
        if not self._begins_text:
            return self._tokens(text)
        # The tokenizer writes a space before what it takes for the beginning of a text: so it is given a beginning.
        for mark in _MARKS:
            beginning, whole = self._tokens(mark), self._tokens(mark + text)
            if whole[: len(beginning)] == beginning:
                return whole[len(beginning) :]
        return self._tokens(text)

    def _tokens(self, text: str) -> list[int]:
        # split_special_tokens: text that looks like a special token is encoded as the characters it is.
        encoded: list[int] = self._tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        return encoded

    def _encode_untrusted(self, text: str) -> list[int]:
        """Encode text of others; a tokenizer may take ``<0x0A>`` in it for the line break of that name."""
        return [token for token in self._encode(text) if token not in self._never_in_text]

    def _encode_title_uncached(self, title: str) -> tuple[int, ...]:
        text = clean_title(title)[: _CHARACTERS_PER_TOKEN * self.title_tokens]
        return tuple(self._encode_untrusted(" " + text)[: self.title_tokens])

    def title_length(self, title: str) -> int:
        """Return the tokens of a title that is not cut."""
        return len(self._encode_untrusted(" " + clean_title(title)))

    def prefix(self, session: Session) -> list[int]:
        """Return the tokens that list the session's items.

        Raises:
            UserError: the session has more than ``max_items`` items.
        """
        return [*self._opening, *self.items(session)]

    def items(self, session: Session) -> list[int]:
        """Return the tokens of a label and a title for each item, a line each; UserError as for ``prefix``."""
        if len(session) > self.max_items:
            raise UserError(
                f"session {session.session_id!r} has {len(session)} items; max_items is {self.max_items}: raise it"
            )
        lines = (self._item_line(position, item) for position, item in enumerate(session.items))
        return [token for line in lines for token in line]

    def _item_line(self, position: int, item: Item) -> list[int]:
        # Four times what is kept, because cleaning shortens; cut before the cache, which would hold it whole.
        longest = 4 * _CHARACTERS_PER_TOKEN * self.title_tokens
        line = [self.label_ids[position], *self._colon, *self._encode_title(item.title[:longest])]
        if item.field_text:  # cut by itself, so that a long title leaves room for it
            line += [*self._comma, *self._encode_title(item.field_text[:longest])]
        return [*line, *self._newline]

    def suffix(self, knowledge: Sequence[Part] = (), ask: str = ASK) -> list[int]:
        """Return the tokens of the knowledge, if any, and of the question, by default that for the bundles.

        They begin with ``start_ids``, from which on the experts act.
        """
        return [*self.start_ids, *self.knowledge(knowledge), *(self.ask_ids if ask == ASK else self._encode(ask))]

    def knowledge(self, parts: Sequence[Part]) -> list[int]:
        """Return the tokens of knowledge, to be read or to be written."""
        tokens: list[int] = []
        for part in parts:
            tokens += [self.label_ids[part]] if isinstance(part, int) else self._encode_untrusted(clean_line(part))
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


def _line_breaks(tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """Return the ids of all tokens that hold a line break: as such, in byte-level letters, or as a single byte."""
    return {
        number
        for token, number in tokenizer.get_vocab().items()
        if "\n" in token or "\u010a" in token or token == "<0x0A>"  # nosec B105  # a token of text
    }
