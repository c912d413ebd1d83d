"""From the leaderboards of real runs to the pages of ``results/``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from take_results import main, origin

from recbole_routedk.comparison.runner import compare_models


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of two guesses with two seeds, and their leaderboard."""
    folder = tmp_path_factory.mktemp("output")
    benchmark = {"models": ["WholeSession", "FirstTwo"], "seeds": [1, 2]}
    compare_models(
        dataset="bundle-mini", config_dict={"benchmark": benchmark, "output_dir": str(folder), "show_progress": False}
    )
    return folder


def test_a_page_has_the_tables_and_the_json_the_exact_figures(output: Path, tmp_path: Path) -> None:
    page = tmp_path / "results" / "mini.md"

    assert main([str(page), str(output / "bundle-mini" / "leaderboard")]) == 0

    told = json.loads((tmp_path / "results" / "mini.json").read_text(encoding="utf-8"))
    ran = json.loads((output / "bundle-mini" / "leaderboard.json").read_text(encoding="utf-8"))
    assert told["leaderboard"] == ran["leaderboard"]
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# mini\n")
    for row in told["leaderboard"]:
        assert f"| {row['model']}" in text
        assert f"{row['pairf1']['mean']:.3f}" in text
    assert "Seeds 1 and 2; commit " in text


def test_no_place_of_the_machine_is_taken_along(output: Path, tmp_path: Path) -> None:
    main([str(tmp_path / "mini.md"), str(output / "bundle-mini" / "leaderboard")])

    written = (tmp_path / "mini.json").read_text(encoding="utf-8")
    assert str(output) not in written
    folders = [run["run_folder"] for run in json.loads(written)["results"]]
    assert all((output / "bundle-mini" / folder).is_dir() for folder in folders)


def test_what_people_wrote_stays(output: Path, tmp_path: Path) -> None:
    page, board = tmp_path / "mini.md", str(output / "bundle-mini" / "leaderboard")
    main([str(page), board])
    page.write_text("# Ours\n\nBy hand.\n" + page.read_text(encoding="utf-8") + "\nAlso by hand.\n", encoding="utf-8")
    before = page.read_text(encoding="utf-8")

    main([str(page), board])

    assert page.read_text(encoding="utf-8") == before


def test_boards_of_several_data_sets_share_a_page(output: Path, tmp_path: Path) -> None:
    board = output / "bundle-mini" / "leaderboard"
    other = tmp_path / "other" / "leaderboard"
    other.parent.mkdir()
    renamed = json.loads(Path(f"{board}.json").read_text(encoding="utf-8")) | {"dataset": "other"}
    Path(f"{other}.json").write_text(json.dumps(renamed), encoding="utf-8")
    Path(f"{other}.md").write_bytes(Path(f"{board}.md").read_bytes())

    main([str(tmp_path / "study.md"), str(board), str(other)])

    page = (tmp_path / "study.md").read_text(encoding="utf-8")
    assert page.index("## bundle-mini") < page.index("## other")
    assert {path.name for path in tmp_path.glob("*.json")} == {"study-bundle-mini.json", "study-other.json"}


def test_two_boards_of_one_data_set_are_refused(output: Path, tmp_path: Path) -> None:
    board = str(output / "bundle-mini" / "leaderboard")

    with pytest.raises(ValueError, match="several boards of one data set"):
        main([str(tmp_path / "study.md"), board, board])
    assert not (tmp_path / "study.md").exists()


def test_where_and_when_runs_were_made() -> None:
    run = {
        "seed": 1,
        "code": {"commit": "abc", "digest": "d1"},
        "finished": "2026-11-20T10:00:00+00:00",
        "machine": {"cpu": "A", "cores": 2, "gpu": None},
        "libraries": {"python": "3.11"},
    }
    later = run | {"seed": 2, "finished": "2026-11-21T10:00:00+00:00", "machine": {"cpu": "A", "cores": 2, "gpu": "G"}}

    unknown = run | {"code": {"commit": None, "digest": "d1"}}
    assert "commit unknown;" in origin({"results": [unknown]})
    assert origin({"results": [later, run]}) == (
        "Seeds 2 and 1; commit abc; digest of the code d1; finished 2026-11-20 to 2026-11-21; on G, 2 cores and A, 2 "
        "cores; with python 3.11."
    )


def test_without_a_board_it_says_how_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["results/electronic.md"]) == 2
    assert "PAGE.md BOARD" in capsys.readouterr().err
