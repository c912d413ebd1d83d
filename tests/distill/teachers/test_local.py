"""The local teacher answers as the model alone would, whatever stands beside a request in its batch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from recbole_routedk.distill.teachers.local import LocalTeacher
from recbole_routedk.distill.teachers.protocol import Message, Request, Response, Sampling, Task
from recbole_routedk.errors import UserError


def ask(content: str, temperature: float = 0.0, max_tokens: int = 12, sample: int = 0) -> Request:
    messages = (Message("system", "Answer."), Message("user", content))
    return Request(Task.BUNDLES, messages, Sampling(temperature, max_tokens), seed=3, sample=sample)


def outcome(response: Response) -> tuple[str | None, str, int]:
    return response.text, response.failure, response.usage.output_tokens


@pytest.fixture(scope="module")
def ending_folder(tiny_student_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny student with so many tokens that end an answer that most answers end within a few tokens."""
    folder = tmp_path_factory.mktemp("ending")
    for file in tiny_student_folder.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    generation = json.loads((folder / "generation_config.json").read_text())
    generation["eos_token_id"] = list(range(2, 49152, 5))
    (folder / "generation_config.json").write_text(json.dumps(generation))
    return folder


def test_a_greedy_answer_is_the_models_own(ending_folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(ending_folder)
    model = AutoModelForCausalLM.from_pretrained(ending_folder)
    request = ask("Which items form bundles?", max_tokens=40)
    chat = [{"role": m.role, "content": m.content} for m in request.messages]
    inputs = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    whole = model.generate(**inputs, max_new_tokens=40, do_sample=False)[0].tolist()
    prompt = inputs["input_ids"].shape[1]

    (response,) = LocalTeacher(str(ending_folder)).complete([request])

    assert response.failure == ""
    assert response.text == tokenizer.decode(whole[prompt:], skip_special_tokens=True)
    assert (response.usage.input_tokens, response.usage.output_tokens) == (prompt, len(whole) - prompt)


@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_answers_do_not_depend_on_the_batch(ending_folder: Path, temperature: float) -> None:
    requests = [ask("item " * (1 + 7 * i % 23), temperature, 4 + i % 2, sample=i) for i in range(14)]
    alone = LocalTeacher(str(ending_folder), batch_size=1).complete(requests)
    together = LocalTeacher(str(ending_folder), batch_size=5).complete(requests)
    expected = {response.request: outcome(response) for response in alone}
    assert {response.request: outcome(response) for response in together} == expected
    assert len({text for text, _, _ in expected.values()}) > 3
    assert any(text for text, _, _ in expected.values())
    assert any("cut off" in failure for _, failure, _ in expected.values())


def test_samples_differ_and_are_the_same_again(ending_folder: Path) -> None:
    requests = [ask("Which?", 1.0, sample=i) for i in range(4)]
    first, again = ({r.request: outcome(r) for r in LocalTeacher(str(ending_folder)).complete(requests)} for _ in "12")
    assert first == again
    assert len(set(first.values())) > 1


def test_noise_samples_the_softmax() -> None:
    from recbole_routedk.distill.teachers.sampling_noise import GumbelNoise

    logits = torch.tensor([0.0, 1.0, 2.0])
    noise = GumbelNoise([0.7], [5])
    rows = [int(noise(torch.zeros(1, 1, dtype=torch.long), logits[None]).argmax()) for _ in range(4000)]
    shares = torch.bincount(torch.tensor(rows), minlength=3) / 4000
    assert torch.allclose(shares, torch.softmax(logits / 0.7, 0), atol=0.03)


def test_each_request_is_answered_once_and_few_are_read_ahead(tiny_student_folder: Path) -> None:
    read = 0

    def source() -> Iterator[Request]:
        nonlocal read
        for i in range(20):
            read += 1
            yield ask(f"{i}", max_tokens=2)

    answers = LocalTeacher(str(tiny_student_folder), batch_size=2).complete(source())
    responses = [next(answers)]
    assert read == 8
    responses += answers
    assert sorted(int(r.request.messages[1].content) for r in responses) == list(range(20))


def test_a_prompt_that_does_not_fit_is_a_failed_response(tiny_student_folder: Path) -> None:
    long, short = ask("word " * 2500), ask("word")
    responses = {r.request: r for r in LocalTeacher(str(tiny_student_folder)).complete([long, short])}
    assert "more than the 2048 that the model reads" in responses[long].failure
    assert responses[short].usage.output_tokens > 0


def test_broken_text_is_a_failed_response(tiny_student_folder: Path) -> None:
    (response,) = LocalTeacher(str(tiny_student_folder)).complete([ask("half \ud83d")])
    assert response.failure == "the request holds text that is no valid Unicode"


def test_identity_follows_the_weights_and_not_the_place(tiny_student_folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere" / tiny_student_folder.name
    copy.mkdir(parents=True)
    for file in tiny_student_folder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    original = LocalTeacher(str(tiny_student_folder)).identity
    assert LocalTeacher(str(copy)).identity == original
    assert LocalTeacher(str(copy), dtype="bfloat16").identity != original
    model = AutoModelForCausalLM.from_pretrained(copy)
    with torch.no_grad():
        model.model.layers[0].mlp.up_proj.weight.add_(0.01)
    model.save_pretrained(copy)
    assert LocalTeacher(str(copy)).identity != original


def test_nothing_is_loaded_before_a_request_comes(tmp_path: Path) -> None:
    teacher = LocalTeacher(str(tmp_path / "missing"))
    assert list(teacher.complete([])) == []
    with pytest.raises(UserError, match="neither the alias"):
        list(teacher.complete([ask("hello")]))


def test_an_unknown_dtype_is_refused() -> None:
    with pytest.raises(UserError, match="teacher_dtype: has to be one of float32, bfloat16, float16"):
        LocalTeacher("any", dtype="int8")
