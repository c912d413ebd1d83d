"""``evaluate``: score anyone's predicted bundles under the metrics of this package."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from recbole_routedk.data.atomic import SPLITS, read_atomic
from recbole_routedk.data.session import Generation, LabelledSession
from recbole_routedk.evaluation.metrics import gold_bundles, score_sessions
from recbole_routedk.evaluation.predictions import read_predictions
from recbole_routedk.plugins import plugin_names
from recbole_routedk.registry import dataset_folder

if TYPE_CHECKING:
    from recbole_routedk.evaluation.metric_base import BundleMetric

PUBLISHED = ("precision", "recall", "coverage")
OURS = ("bundlef1", "matchedf1", "pairf1", "emptyrate", "invalidrate")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.add_argument("--dataset", required=True, help="name of the data set, such as bundle-mini")
    parser.add_argument("--split", choices=SPLITS, default="test", help="split to score (default: test)")
    parser.add_argument(
        "--predictions",
        required=True,
        type=Path,
        metavar="FILE",
        help='JSON file {"<session id>": [[0, 3], [1, 2, 4]], ...} of 0-based positions in the session',
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument(
        "--data_path",
        type=Path,
        default=Path("dataset"),
        metavar="DIR",
        help="folder that holds the data set's own folder (default: dataset)",
    )


def main(args: argparse.Namespace) -> int:
    """Score the file and print the result; raises UserError for a bad file, data set or prediction."""
    splits = read_atomic(dataset_folder(args.dataset, args.data_path), args.dataset)
    sessions = splits.split(args.split)
    others = {
        labelled.session.session_id: name for name in SPLITS if name != args.split for labelled in splits.split(name)
    }
    generations = read_predictions(args.predictions.expanduser(), [labelled.session for labelled in sessions], others)
    result = evaluate(sessions, generations)
    print(json.dumps(result, allow_nan=False) if args.json else _table(result))
    return 0


def evaluate(sessions: Sequence[LabelledSession], generations: Sequence[Generation]) -> dict[str, object]:
    """Return every metric by its key, the published three also by empty-session mode, and the counts.

    Speed and peak memory belong to the run that made the predictions; no file tells them, so both are
    None.
    """
    predictions = [generation.bundles for generation in generations]
    rejected = [len(generation.rejected) for generation in generations]
    gold = [gold_bundles(labelled) for labelled in sessions]
    scores = score_sessions(gold, predictions, rejected)
    scores |= {key: metric.score(gold, predictions, rejected) for key, metric in _own_metrics().items()}
    return {
        "sessions": len(sessions),
        "empty_sessions": sum(not bundles for bundles in predictions),
        **scores,
        "count_empty": {key: scores[key] for key in PUBLISHED},
        "drop_empty": {key: scores[f"{key}_drop_empty"] for key in PUBLISHED},
        "sessions_per_second": None,
        "peak_memory_mib": None,
    }


def _own_metrics() -> Mapping[str, type[BundleMetric]]:
    if not plugin_names("metric"):
        return {}
    from recbole_routedk.evaluation.recbole_metrics import own_metrics  # RecBole takes seconds to import

    return own_metrics()


def _table(result: Mapping[str, object]) -> str:
    lines = [f"sessions: {result['sessions']} ({result['empty_sessions']} without a valid bundle)", ""]
    lines.append(f"{'metric':<12}{'count_empty':>12}{'drop_empty':>12}")
    lines += [f"{key:<12}{result[key]:>12.4f}{result[f'{key}_drop_empty']:>12.4f}" for key in PUBLISHED]
    lines += [f"{key:<12}{result[key]:>12.4f}" for key in (*OURS, *_own_metrics())]
    return "\n".join(lines)
