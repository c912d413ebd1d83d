"""From a prompt that is read to a generation: the student's own thought, samples, consensus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from torch import Tensor
from transformers import PreTrainedTokenizerBase

from recbole_routedk.data.answers import parse_answer
from recbole_routedk.data.prompts import PromptEncoder
from recbole_routedk.data.session import Generation, Session
from recbole_routedk.evaluation.bayes_risk import Answer, Utility
from recbole_routedk.model.language.item_orders import put_back
from recbole_routedk.student.consensus import NO_ADVICE, Advice, agreed
from recbole_routedk.student.decoding import Alphabet, SamplingSettings, decode_constrained, decode_free
from recbole_routedk.student.routed_student import Prefill, RoutedStudent


@dataclass(frozen=True)
class AnswerSettings:
    """How answers are written: ``decoding`` constrained or free, ``consensus`` mbr or vote, longest own thought."""

    decoding: str
    consensus: str
    utility: Utility
    vote_share: float
    thought_tokens: int


class Answerer:
    """Answers sessions whose items are read, gated experts on."""

    def __init__(
        self,
        student: RoutedStudent,
        tokenizer: PreTrainedTokenizerBase,
        prompts: PromptEncoder,
        settings: AnswerSettings,
    ) -> None:
        self._student = student
        self._tokenizer = tokenizer
        self._prompts = prompts
        self._settings = settings

    def answer(
        self,
        sessions: Sequence[Session],
        prefill: Prefill,
        suffixes: Sequence[Sequence[int]],
        gates: Tensor,
        sampling: SamplingSettings,
        thinks_first: bool = False,
        advice: Sequence[Advice] = (),
        orders: Sequence[Sequence[int]] = (),
    ) -> list[Generation]:
        """Answer each session.

        Args:
            prefill: the items as read, one row a session, or as many as ``orders`` has for it, one after the other;
                used up.
            suffixes: what follows a row's items; it asks for the bundles or, with ``thinks_first``, for a thought.
            gates: the experts' weights [rows, E], or [rows, layers, E].
            thinks_first: the student first writes a thought, greedily, and reads the question for the bundles after it.
            advice: of others about each session, where there is any; it votes with the samples.
            orders: in which order of its session's items each row was read, where that is not the session's own.
        """
        times = max(1, len(orders) // len(sessions))
        last_hidden = self._extend(prefill, suffixes, gates)
        if thinks_first:
            thoughts = self._write_thoughts(prefill, last_hidden, gates)
            last_hidden = self._extend(prefill, [[*each, *self._prompts.ask_ids] for each in thoughts], gates)
        if self._settings.decoding == "free":
            return self._free(sessions, prefill, last_hidden, gates, sampling.budget)
        drawn = decode_constrained(
            self._student,
            prefill,
            last_hidden,
            gates,
            [len(session) for session in sessions for _ in range(times)],
            [_name_of_row(session, number) for session in sessions for number in range(times)],
            Alphabet(self._prompts.label_ids, self._prompts.separator_id, self._prompts.end_id),
            sampling,
        )
        if orders:
            drawn = [[put_back(each, order) for each in row] for row, order in zip(drawn, orders, strict=True)]
        samples = [list(chain.from_iterable(drawn[row : row + times])) for row in range(0, len(drawn), times)]
        agreements = map(self._agree, samples, advice or [NO_ADVICE] * len(samples))
        means = gates.unflatten(0, (-1, times)).mean(dim=1)
        return [
            Generation(bundles, gates=row, score=agreement)
            for (bundles, agreement), row in zip(agreements, shown_gates(means), strict=True)
        ]

    def _extend(self, prefill: Prefill, rows: Sequence[Sequence[int]], gates: Tensor) -> Tensor:
        """Read more tokens of each row; returns the hidden states of the last ones [rows, hidden]."""
        ids, mask = self._student.pad_left(rows)
        return self._student.extend(prefill, ids, mask, gates)[:, -1]

    def _write_thoughts(self, prefill: Prefill, last_hidden: Tensor, gates: Tensor) -> list[list[int]]:
        # In training, the question for the bundles follows the thought: its first token is the thought's end.
        end, budget = self._prompts.ask_ids[0], self._settings.thought_tokens
        written = decode_free(self._student, prefill, last_hidden, gates, end, budget)
        # What looks like the end of all text must not stay in the middle of the prompt.
        return [[token for token in tokens if token != self._prompts.end_id] for tokens in written]

    def _agree(self, samples: Sequence[Answer], advice: Advice) -> tuple[Answer, float]:
        settings = self._settings
        return agreed(samples, settings.consensus, settings.vote_share, settings.utility, advice=advice)

    def _free(
        self, sessions: Sequence[Session], prefill: Prefill, last_hidden: Tensor, gates: Tensor, budget: int
    ) -> list[Generation]:
        completions = decode_free(self._student, prefill, last_hidden, gates, self._prompts.end_id, budget)
        answers = []
        for session, tokens, row in zip(sessions, completions, shown_gates(gates), strict=True):
            text = str(self._tokenizer.decode(tokens))
            bundles, rejected = parse_answer(text, self._prompts.labels[: len(session)])
            answers.append(Generation(bundles, rejected, gates=row))
        return answers


def _name_of_row(session: Session, number: int) -> str:
    """A name for each row of a session, so that its samples are drawn anew in every order."""
    return f"{session.session_id}\n{number}" if number else session.session_id


def shown_gates(gates: Tensor) -> list[tuple[float, ...]]:
    """Return the weight of each expert, one tuple a session: the mean over layers that have gates of their own."""
    means = gates.mean(dim=1) if gates.dim() == 3 else gates
    return [tuple(row) for row in means.tolist()]
