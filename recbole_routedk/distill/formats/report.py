"""What a run asked its teacher, what came back, and what became of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from recbole_routedk.data.session import Rejection, RejectionReason
from recbole_routedk.distill.pricing import Price
from recbole_routedk.distill.teachers.protocol import Response, Task, Usage


@dataclass
class ThoughtCounts:
    """What became of the thoughts about training and other sessions."""

    kept: int = 0
    regenerated: int = 0
    dropped: int = 0
    invalid: int = 0


@dataclass
class RuleCounts:
    """How many rules teachers proposed, how many of them were the same as another, and what selection left."""

    proposed: int = 0
    merged: int = 0
    dropped: int = 0
    kept: int = 0


@dataclass
class KnowledgeReport:
    """Counts over all requests of a knowledge source; ``valid`` are answers of which something could be used."""

    asked: Counter[Task] = field(default_factory=Counter)
    valid: Counter[Task] = field(default_factory=Counter)
    rejections: Counter[RejectionReason] = field(default_factory=Counter)
    cached: int = 0
    failures: int = 0
    last_failure: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    thoughts: ThoughtCounts = field(default_factory=ThoughtCounts)
    rules: RuleCounts = field(default_factory=RuleCounts)
    patterns: int = 0
    chosen_sessions: int = 0

    @property
    def requests(self) -> int:
        """All requests, answered from the store or by the teacher."""
        return self.asked.total()

    def count(self, response: Response, rejected: tuple[Rejection, ...], usable: bool) -> None:
        """Count one response."""
        task = response.request.task
        self.asked[task] += 1
        self.valid[task] += usable
        self.cached += response.cached
        self.input_tokens += response.usage.input_tokens
        self.output_tokens += response.usage.output_tokens
        self.rejections.update(rejection.reason for rejection in rejected)
        if response.text is None:
            self.failures += 1
            self.last_failure = response.failure

    def dollars(self, price: Price | None) -> float | None:
        """What the answers cost at a price; None where it is not known."""
        return None if price is None else price.cost(Usage(self.input_tokens, self.output_tokens))

    def lines(self) -> list[str]:
        """Say it in words, a topic a line; topics that were not asked for are left out."""
        lines = [
            f"requests: {self.requests} ({self.cached} from the store, {self.failures} failed), "
            f"{self.input_tokens} input and {self.output_tokens} output tokens, "
            f"{self.chosen_sessions} training sessions"
        ]
        if self.failures:
            lines.append(f"last failure: {self.last_failure}")
        lines += [f"{task.value}: {self.valid[task]} of {count} answers valid" for task, count in self.asked.items()]
        if self.rejections:
            reasons = ", ".join(f"{count} {reason.value}" for reason, count in self.rejections.most_common())
            lines.append(f"rejected: {reasons}")
        if self.asked[Task.THOUGHT]:
            own = self.thoughts
            lines.append(
                f"thoughts: {own.kept} kept, {own.regenerated} asked for again, {own.dropped} dropped, "
                f"{own.invalid} answers invalid"
            )
        if self.asked[Task.RULES]:
            rules = self.rules
            lines.append(
                f"rules: {rules.proposed} proposed, {rules.merged} merged, {rules.dropped} dropped, {rules.kept} kept"
            )
        if self.patterns:
            lines.append(f"patterns: {self.patterns}")
        return lines
