"""``generate`` as a user meets it: from JSON lines to bundles, killed and gone on with, wrong input and right."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from recbole_routedk import run_recbole_routedk
from recbole_routedk.cli.dispatch import main


@pytest.fixture
def run_folder(toy_data: Path) -> Path:
    """A finished run of a model that answers in no time."""
    result = run_recbole_routedk("WholeSession", "toy", config_dict={"data_path": str(toy_data), "state": "ERROR"})
    return Path(result["run_folder"])


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_file_of_sessions_becomes_a_file_of_bundles(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in.jsonl").write_text('["茶", "Cup"]\n{"session_id": "b", "items": ["Rope"]}\n', encoding="utf-8")

    assert main(["generate", f"--run={run_folder}", "--input=in.jsonl", "--output=out.jsonl", "--intents"]) == 0

    first, second = lines(tmp_path / "out.jsonl")
    (bundle,) = first["bundles"]  # type: ignore[misc]
    assert [item["title"] for item in bundle["items"]] == ["茶", "Cup"]
    assert bundle["intent"]
    assert (second["line"], second["session_id"], second["bundles"]) == (2, "b", [])
    assert "2 sessions answered, 0 bad lines" in capsys.readouterr().err


def test_standard_input_to_standard_output_with_bad_lines(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b'["Tea", "Cup"]\n{"a"\n["Tea", 4]\n["Tea"]')))

    assert main(["generate", f"--run={run_folder}"]) == 1

    captured = capsysbinary.readouterr()
    assert [json.loads(line)["line"] for line in captured.out.splitlines()] == [1, 4]
    assert b"standard input, line 2: is not JSON" in captured.err
    assert b"standard input, line 3: item 1 is no text but int" in captured.err
    assert b"2 sessions answered, 2 bad lines" in captured.err


def test_a_session_data_set_of_recbole(run_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "shop.inter").write_text("session_id:token\titem_id:token\n1\ta\n1\tb\n2\tb\n")
    (tmp_path / "shop" / "shop.item").write_text("item_id:token\tlabel:token_seq\na\tTea\nb\tCup\n")

    command = ["generate", f"--run={run_folder}", "--input=shop", "--output=out.jsonl", "--title_field=label"]
    assert main(command) == 0

    assert [row["session_id"] for row in lines(tmp_path / "out.jsonl")] == ["1", "2"]


@pytest.mark.parametrize(
    "words, message",
    [
        ([], "generate needs --run=FOLDER"),
        (["--run=nowhere"], "give the folder of a saved run"),
        (["--run=RUN", "--input=nowhere.jsonl"], "nowhere.jsonl: there is no such file"),
        (["--run=RUN", "--batch_size=0"], "--batch_size has to be a whole number"),
        (["--run=RUN", "--intents=yes"], "--intents is given alone"),
        (["--run=RUN", "--title_field=a"], "--title_field is for a data set of RecBole"),
        (["--run=RUN", "--consensus_sample=3"], "consensus_sample"),
    ],
)
def test_what_cannot_be_done_is_told(
    run_folder: Path,
    words: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO()))

    assert main(["generate", *(word.replace("RUN", str(run_folder)) for word in words)]) == 2

    assert message in capsys.readouterr().err


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "--help"]) == 0
    assert "Exit status: 0" in capsys.readouterr().out


def test_a_killed_process_is_gone_on_with(run_folder: Path, tmp_path: Path) -> None:
    given = "".join(json.dumps([f"tea {n}", f"cup {n}"]) + "\n" for n in range(2_000))
    (tmp_path / "in.jsonl").write_text(given, encoding="utf-8")
    command = ["-m", "recbole_routedk", "generate", f"--run={run_folder}", "--input=in.jsonl", "--output=out.jsonl"]
    process = subprocess.Popen(
        [sys.executable, *command, "--batch_size=1"], stderr=subprocess.PIPE, env=dict(os.environ)
    )
    state = tmp_path / "out.jsonl.part.json"
    while not state.is_file() and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -9
    done = json.loads(state.read_text(encoding="utf-8"))["done"]["entries"]
    assert 0 < done < 2_000
    assert not (tmp_path / "out.jsonl").exists()

    # Not the same command: other batches are other windows.
    assert main([*command[2:], "--batch_size=2"]) == 2
    (tmp_path / "in.jsonl").write_text(given[: given.index("tea 1500") - 2], encoding="utf-8")
    assert main([*command[2:], "--batch_size=1"]) == 0

    assert [row["line"] for row in lines(tmp_path / "out.jsonl")] == list(range(1, 1_501))
