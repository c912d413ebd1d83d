"""The ``export`` command: a trained student as PEFT adapters, one static LoRA, or merged weights."""

from __future__ import annotations

from collections.abc import Sequence

from recbole_routedk.cli.run import parse_settings
from recbole_routedk.errors import UserError

HELP = """\
Writes the student of a saved run (RouteDK, KD, SFT, NaiveDK) for PEFT or transformers, with a model card.

  --run=FOLDER               run folder, as `run` prints it
  --output=FOLDER            a new folder
  --format=adapters          adapters: a PEFT folder for each expert, checked against plain PEFT
                             static:   all experts in one PEFT folder, the gates fixed to their means over the training
                                       prompts
                             merged:   the same, added to the student's weights and saved for transformers; it then
                                       acts on the list of items too, which is an approximation
  --split=valid              static and merged answer this split beside the routed model (valid or test), and what is
                             lost is printed and written into the card
  --sessions=N               only the first N sessions of it (default: all)
  --push_to_hub=OWNER/NAME   upload the folder with huggingface_hub; a new repository is private
  --data_path, --consensus_samples, ...     any setting of the run, replaced

Example
  python -m recbole_routedk export --run=output/bundle-mini/RouteDK/RouteDK-seed2020-0a1b2c3d \\
    --output=bundle-lora --format=static
"""


def run(argv: Sequence[str]) -> int:
    """Export, and upload if asked; returns the exit code. Raises UserError."""
    if any(word in ("-h", "--help") for word in argv):
        print(HELP)
        return 0
    given = parse_settings(argv)
    folder, output = given.pop("run", ""), given.pop("output", "")
    if not folder or not output:
        raise UserError("export needs --run=FOLDER, the folder of a saved run, and --output=FOLDER")
    form, split = given.pop("format", "adapters"), given.pop("split", "valid")
    sessions, repository = _count(given.pop("sessions", "")), given.pop("push_to_hub", None)

    from recbole_routedk.run_log import logging_to
    from recbole_routedk.serving.export import export_run
    from recbole_routedk.serving.hub import check_repository, push

    if repository is not None:
        check_repository(repository)  # before an hour of measuring
    with logging_to(None, "WARNING"):
        written = export_run(folder, output, form, given, split, sessions)
    print(f"Written to {written}")
    if repository is not None:
        print(f"Uploaded to {push(written, repository)}")
    return 0


def _count(text: str) -> int | None:
    if text and (not text.isascii() or not text.isdigit() or int(text) < 1):
        raise UserError(f"--sessions has to be a whole number, at least 1, not {text!r}")
    return int(text) if text else None
