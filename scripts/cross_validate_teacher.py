"""Score the statistical teacher on sessions that it has not seen, without the test split: cross-validation.

``python scripts/cross_validate_teacher.py --dataset=electronic --json=now.json`` fits a teacher on four of five folds
of the training and valid sessions, five times, and scores what it thinks of the fifth. With ``--against=before.json``,
which another state of the code wrote, it prints the mean difference of the same sessions with its standard error.
``--out_of_fold`` takes a fifth of the time: one teacher is fitted on the training sessions, and what it thinks of them
out-of-fold is scored, which is a little too good (``AffinityModel``), and apart from it what it thinks of the valid
sessions. ``--untuned`` leaves the sentence encoder as it is. ``--utility=matchedf1,precision,recall,coverage`` answers,
in place of the thought's groups, the drawn grouping or cut with the highest mean of these metrics to all drawn ones.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import log_loss, roc_auc_score

from recbole_routedk.cache import cache_folder
from recbole_routedk.data.atomic import read_atomic
from recbole_routedk.data.session import LabelledSession, with_counted_bundles
from recbole_routedk.distill.encoder import title_encoder
from recbole_routedk.distill.knowledge import Thought
from recbole_routedk.distill.statistical.drawing import DRAWS, LINKAGES, draw_groupings
from recbole_routedk.distill.statistical.grouping import merges
from recbole_routedk.distill.statistical.pairs import co_bundled, session_folds
from recbole_routedk.distill.statistical.teacher import StatisticalTeacher, TeacherConfig
from recbole_routedk.evaluation.bayes_risk import Utility, best_expected
from recbole_routedk.evaluation.metrics import (
    bundle_f1,
    coverage,
    gold_bundles,
    matched_f1,
    session_precision,
    session_recall,
)
from recbole_routedk.evaluation.utility import mean_utility
from recbole_routedk.provenance import code

SCORES = {"matchedf1": matched_f1, "bundlef1": bundle_f1, "precision": session_precision, "recall": session_recall}
_SUREST = 0.002  # no affinity is surer than that where its logarithm counts


def cross_validated(sessions: Sequence[LabelledSession], folds: int, seed: int, config: TeacherConfig) -> list[Thought]:
    """Return what a teacher that was fitted on the other folds thinks of each session."""
    fold = session_folds(len(sessions), folds, seed)
    thoughts: dict[int, Thought] = {}
    for held in range(folds):
        print(f"fold {held + 1} of {folds}", file=sys.stderr)
        teacher = StatisticalTeacher(config, title_encoder())
        teacher.fit([each for each, own in zip(sessions, fold, strict=True) if own != held])
        places = np.flatnonzero(fold == held).tolist()
        thoughts.update(zip(places, teacher.think([sessions[place].session for place in places]), strict=True))
    return [thoughts[place] for place in range(len(sessions))]


def regrouped(
    sessions: Sequence[LabelledSession], thoughts: Sequence[Thought], utility: Utility, seed: int
) -> list[Thought]:
    """Return the thoughts with the groups that expect the best utility to the groupings drawn from the affinities."""
    chosen = []
    for labelled, thought in zip(sessions, thoughts, strict=True):
        drawn = draw_groupings(labelled.session, thought.affinities, DRAWS, seed)
        votes = {grouping: count / len(drawn) for grouping, count in Counter(drawn).items()}
        cuts = [groups for kind in LINKAGES for _, groups in merges(thought.affinities, kind)]
        best, _ = best_expected((*votes, *cuts), votes, utility)
        chosen.append(replace(thought, groups=best, intents=("",) * len(best)))
    return chosen


def measured(sessions: Sequence[LabelledSession], thoughts: Sequence[Thought]) -> dict[str, Any]:
    """Return the quality of the affinities over all pairs, and the scores of the groups of each session."""
    upper = [thought.affinities[np.triu_indices(len(thought.affinities), 1)] for thought in thoughts]
    affinities, together = np.concatenate(upper), co_bundled(sessions)
    return {
        "pairs": {
            "auc": float(roc_auc_score(together, affinities)),
            "log_loss": float(log_loss(together, np.clip(affinities, _SUREST, 1 - _SUREST))),
        },
        "sessions": {
            name: [
                score(gold_bundles(labelled), thought.groups)
                for labelled, thought in zip(sessions, thoughts, strict=True)
            ]
            for name, score in SCORES.items()
        },
        "coverage": coverage([gold_bundles(labelled) for labelled in sessions], [each.groups for each in thoughts]),
    }


def told(result: dict[str, Any], before: dict[str, Any] | None) -> str:
    """Return one line of the result, and one of what changed since ``before``; ValueError for other sessions."""
    means = ", ".join(f"{name} {np.mean(values):.4f}" for name, values in result["sessions"].items())
    pairs = f"AUC {result['pairs']['auc']:.4f}, log loss {result['pairs']['log_loss']:.4f}"
    lines = [f"{pairs}, {means}, coverage {result['coverage']:.4f}"]
    if before is not None:
        same = all(before[key] == result[key] for key in ("dataset", "folds", "seed"))
        if not same or ("valid" in before) != ("valid" in result):
            raise ValueError("--against is a result of another data set, way, number of folds or seed")
        changes = []
        for name in before["sessions"]:
            values = result["sessions"][name]
            change = np.subtract(values, before["sessions"][name])
            error = change.std(ddof=1) / np.sqrt(len(change))
            changes.append(f"{name} {change.mean():+.4f} (standard error {error:.4f})")
        lines.append(f"against {before['code']['commit']}: {', '.join(changes)}")
    if "valid" in result:
        own = {key: result[key] for key in ("dataset", "folds", "seed")}
        lines.append(
            "valid: " + told(own | result["valid"], before and own | before["valid"] | {"code": before["code"]})
        )
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--dataset", required=True, help="name of the data set, such as electronic")
    parser.add_argument("--data_path", type=Path, default=Path("dataset"), help="folder that holds the data set's own")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=2020, help="of the folds and of the teacher")
    parser.add_argument("--json", type=Path, help="file that takes every score")
    parser.add_argument("--against", type=Path, help="such a file of another state of the code")
    parser.add_argument("--out_of_fold", action="store_true", help="one fit on the training sessions alone")
    parser.add_argument("--untuned", action="store_true", help="with the sentence encoder as it is")
    parser.add_argument("--utility", help="metrics whose mean the groups are to expect, such as matchedf1,precision")
    given = parser.parse_args(arguments)
    splits = read_atomic(given.data_path / given.dataset, given.dataset)
    train, valid = (list(map(with_counted_bundles, split)) for split in (splits.train, splits.valid))
    config = TeacherConfig(seed=given.seed, store=cache_folder() / "tuned")
    if given.untuned:
        config = replace(config, tuning=replace(config.tuning, least_sessions=len(train) + len(valid) + 1))
    about = {"dataset": given.dataset, "folds": given.folds, "seed": given.seed, "code": code()}

    def answered(sessions: Sequence[LabelledSession], thoughts: Sequence[Thought]) -> dict[str, Any]:
        if given.utility:
            thoughts = regrouped(sessions, thoughts, mean_utility(given.utility.split(",")), given.seed)
        return measured(sessions, thoughts)

    if given.out_of_fold:
        teacher = StatisticalTeacher(config, title_encoder())
        teacher.fit(train)
        result = about | answered(train, teacher.think_training())
        result["valid"] = answered(valid, teacher.think([labelled.session for labelled in valid]))
    else:
        both = [*train, *valid]
        result = about | answered(both, cross_validated(both, given.folds, given.seed, config))
    print(told(result, json.loads(given.against.read_text(encoding="utf-8")) if given.against else None))
    if given.json:
        given.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
