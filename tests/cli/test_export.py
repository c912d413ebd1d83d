"""``export`` says what is wrong before it works for an hour; what it writes is tested in tests/serving."""

from __future__ import annotations

from pathlib import Path

import pytest

from recbole_routedk import run_recbole_routedk
from recbole_routedk.cli.dispatch import main


@pytest.mark.parametrize(
    "words, message",
    [
        ([], "export needs --run=FOLDER, the folder of a saved run, and --output=FOLDER"),
        (["--run=RUN"], "export needs --run=FOLDER, the folder of a saved run, and --output=FOLDER"),
        (["--run=RUN", "--output=out", "--sessions=0"], "--sessions has to be a whole number, at least 1"),
        (["--run=RUN", "--output=out", "--push_to_hub=name"], "--push_to_hub=name has to be owner/name"),
        (["--run=RUN", "--output=out", "--format=gguf"], "--format has to be one of adapters, static, merged"),
        (["--run=RUN", "--output=out"], "WholeSession has no student with adapters; export a run of RouteDK"),
    ],
)
def test_what_cannot_be_done_is_told(
    toy_data: Path, tmp_path: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    result = run_recbole_routedk("WholeSession", "toy", config_dict={"data_path": str(toy_data), "state": "ERROR"})

    assert main(["export", *(word.replace("RUN", result["run_folder"]) for word in words)]) == 2

    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_help_names_the_forms(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--help"]) == 0
    printed = capsys.readouterr().out
    assert all(f"{form}:" in printed for form in ("adapters", "static", "merged"))
