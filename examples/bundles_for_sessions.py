"""Train once, then answer sessions that nobody has seen: ``python examples/bundles_for_sessions.py``.

With a run folder as argument, that run answers; otherwise a small model is trained first (title clusters on the
embedded data set, a few seconds). ``--model=RouteDK`` trains the real one: minutes, and its answers have gates and
agreement.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from recbole_routedk import BundleGenerator, run_recbole_routedk
from recbole_routedk.data.plain import SessionLike


def sessions() -> Iterator[SessionLike]:
    """Any iterable will do: a file, a queue, a database cursor. Titles are enough; ids come back with the bundles."""
    yield ["Aluminium travel tripod", "Non-slip yoga mat", "Padded camera bag", "Foam roller for back pain"]
    yield {
        "session_id": "visit-7",
        "items": [
            {"item_id": "p1", "title": "French press coffee pot, 1 litre"},
            {"item_id": "p2", "title": "Coffee scale with timer"},
            {"item_id": "p3", "title": "Kayak paddle"},
        ],
    }


def main() -> None:
    """Load or train a model and print what belongs together."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="?", help="folder of a saved run")
    parser.add_argument("--model", default="TitleCluster", help="what to train where no run is given")
    args = parser.parse_args()
    folder = args.run or run_recbole_routedk(args.model, "bundle-mini")["run_folder"]

    generator = BundleGenerator.from_pretrained(folder)
    for answer in generator.generate(sessions(), intents=True):
        print(f"{answer.session.session_id} (agreement {answer.score:.2f})")
        for titles, intent in zip(answer.titles(), answer.intents, strict=True):
            print(f"  {intent}: {' + '.join(titles)}")


if __name__ == "__main__":
    main()
