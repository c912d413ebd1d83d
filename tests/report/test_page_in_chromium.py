"""The page as a reader has it: opened in headless Chromium, filtered, tabbed through, printed and photographed."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from made_runs import HOSTILE, alternating, right, small_test, whole, write_data, write_run
from playwright.sync_api import Browser, Page, expect

from recbole_routedk.cli.dispatch import main
from recbole_routedk.report.gallery import shown_text

HOSTILE_MODEL = 'Model (<img src=x onerror="window.hacked=4">)'
PATIENCE = 120_000
"""Milliseconds that a step may take where the machine is busy."""


@pytest.fixture(scope="module")
def page_file(field: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("page") / "output"
    shutil.copytree(field, output)
    write_run(output, field.parent / "data" / "small", HOSTILE_MODEL, alternating(whole, right))
    assert main(["report", f"--output_dir={output}", "--dataset=small"]) == 0
    return output / "small" / "report.html"


@pytest.fixture(scope="module")
def opened(browser: Browser, page_file: Path) -> tuple[Page, list[str], list[str]]:
    """The page, every address that it asked for, and everything that it complained of."""
    page = browser.new_context(viewport={"width": 1200, "height": 900}, reduced_motion="reduce").new_page()
    page.set_default_timeout(PATIENCE)
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    page.goto(page_file.as_uri())
    return page, asked, complaints


@pytest.fixture
def page(opened: tuple[Page, list[str], list[str]]) -> Page:
    """The page with every filter as at first, answered by the first model."""
    page = opened[0]
    page.emulate_media(media="screen", color_scheme="light")
    page.set_viewport_size({"width": 1200, "height": 900})
    page.click("button[type=reset]")
    expect(page.locator(".card")).to_have_count(12, timeout=PATIENCE)  # waits, without eval, which the page forbids
    return page


def choose(page: Page, model: str) -> None:
    page.select_option("#model", label=model)


def seen(page: Page) -> list[str]:
    """The ids of the sessions that are shown."""
    return page.locator(".card .session bdi").all_inner_texts()


def test_nothing_of_a_title_runs_and_nothing_leaves_the_page(
    opened: tuple[Page, list[str], list[str]], page: Page, page_file: Path
) -> None:
    for option in page.locator("#model option").all_inner_texts():
        choose(page, option)

    assert page.evaluate("window.hacked") is None
    assert opened[1] == [page_file.as_uri()]
    assert opened[2] == []
    titles = page.locator(".card").first.locator(".side").nth(1).locator(".title").all_text_contents()
    assert titles == [shown_text(title) for title in HOSTILE]
    assert page.locator("main img, main iframe, .card script").count() == 0
    assert HOSTILE_MODEL in page.locator("#model option").all_text_contents()


def test_its_policy_lets_no_other_script_run_and_nothing_load(page: Page, page_file: Path) -> None:
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page_file.read_text(encoding="utf-8"))
    assert policy is not None
    assert "default-src 'none'" in policy[1].replace("&#39;", "'")

    page.evaluate(
        """() => { const script = document.createElement("script"); script.textContent = "window.hacked = 5";
        document.body.append(script); script.remove(); }"""
    )
    loaded = page.evaluate("fetch('data:text/plain,x').then(() => true, () => false)")

    assert page.evaluate("window.hacked") is None
    assert loaded is False


def test_the_gallery_is_filtered_by_model_answer_length_and_words(page: Page) -> None:
    ids = [session.session.session_id for session in small_test()]
    lengths = [len(session.session) for session in small_test()]

    choose(page, "Teacher")  # right, partly right and wrong in turn
    page.get_by_label("partly right").uncheck()
    page.uncheck("[value=wrong]")
    assert seen(page) == ids[0::3]
    assert page.locator(".card .verdict").all_inner_texts() == ["✓ Right"] * 4
    assert page.inner_text("#count") == "4 of 12 sessions, answered by Teacher (seed 1)"

    page.get_by_label("partly right").check()
    page.check("[value=wrong]")
    page.fill("#least", "6")
    page.fill("#most", "6")
    assert seen(page) == [name for name, length in zip(ids, lengths, strict=True) if length == 6]

    page.click("button[type=reset]")
    expect(page.locator(".card")).to_have_count(12, timeout=PATIENCE)  # waits, without eval, which the page forbids
    page.fill("#words", "ONERROR image")
    assert seen(page) == []
    assert "Loosen a filter" in page.inner_text("#count")
    page.fill("#words", "ONERROR img")
    assert seen(page) == ["hostile"]


def test_the_worst_answers_can_come_first(page: Page) -> None:
    choose(page, "Teacher")
    page.select_option("#order", "worst")
    scores = [float(text.split("MatchedF1 ")[1].split()[0]) for text in page.locator(".card-facts").all_inner_texts()]
    assert scores == sorted(scores)
    assert scores[0] < scores[-1]


def test_a_card_says_how_a_bundle_is_to_the_gold_and_shows_what_is_in_none(page: Page) -> None:
    choose(page, "WholeSession")
    card = page.locator(".card").nth(1)  # s1: five items, the gold bundles {0, 1} and {2, 3}

    predicted, gold = card.locator(".side").all()
    assert predicted.locator(".bundle-head").all_inner_texts() == ["Bundle 1 2 of 2 of gold A, 3 too many"]
    assert predicted.locator(".tag").all_inner_texts() == ["A", "A", "B", "B"]
    assert gold.locator(".bundle-head").all_inner_texts() == ["Gold A intent 0", "Gold B intent 1", "In no bundle"]
    assert gold.locator(".rest .title").all_inner_texts() == ["Thing 1.4"]

    choose(page, "RouteDK")
    gates = page.locator(".card").nth(1).locator(".gate").all_inner_texts()
    assert [text.strip() for text in gates] == ["base 10%", "rule 70%", "thought 20%"]


def test_everything_can_be_reached_and_used_by_keyboard(browser: Browser, page_file: Path) -> None:
    page = browser.new_page(reduced_motion="reduce")
    page.set_default_timeout(PATIENCE)
    page.goto(page_file.as_uri())
    order: list[str] = []
    rings: list[str] = []
    for _ in range(40):
        page.keyboard.press("Tab")
        told = page.evaluate(
            """() => { const at = document.activeElement; return [at.id || at.getAttribute("aria-label") || at.value
            || at.textContent.trim(), getComputedStyle(at).outlineStyle]; }"""
        )
        order.append(told[0])
        rings.append(told[1])
        if told[0] == "order":
            break
    assert order[0] == "Skip to the sessions"
    assert order[1:8] == ["Leaderboard", "By length", "Training", "Gates", "Cost", "Sessions", "Runs"]
    assert order[-8:] == ["model", "right", "partly", "wrong", "least", "most", "words", "order"]
    assert set(rings) <= {"solid", "auto"}  # whatever has the focus shows it

    page.focus("[value=right]")
    page.keyboard.press("Space")
    assert seen(page) == []  # RouteDK, the first model, is right everywhere
    page.keyboard.press("Space")
    page.focus("#words")
    page.keyboard.type("thing 3.")
    page.keyboard.press("Enter")  # sends no form: the page stays as it is
    assert seen(page) == ["s3"]
    page.focus(".skip")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "sessions"


def test_every_field_has_a_label_and_every_figure_a_name(page: Page) -> None:
    fields = page.evaluate("[...document.querySelectorAll('select, input')].map((field) => field.labels.length > 0)")
    assert len(fields) == 8
    assert all(fields)
    figures = page.evaluate(
        """[...document.querySelectorAll("svg[role=img]")].map((svg) => svg.getAttribute("aria-labelledby").split(" ")
        .every((id) => document.getElementById(id).textContent.length > 0))"""
    )
    assert len(figures) == 8
    assert all(figures)


def test_a_phone_scrolls_the_tables_and_never_the_page(page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    box = page.locator("#leaderboard .scroll").first
    assert box.evaluate("(box) => box.scrollWidth > box.clientWidth") is True


def test_print_holds_what_is_filtered_and_no_control(browser: Browser, tmp_path: Path) -> None:
    data, count = write_data(tmp_path / "data"), len(small_test())
    write_run(tmp_path, data, "Only", [right(session) for session in small_test()])
    assert main(["report", f"--output_dir={tmp_path}", "--dataset=small", f"--output={tmp_path / 'r.html'}"]) == 0
    page = browser.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto((tmp_path / "r.html").as_uri())
    page.fill("#words", "thing")
    page.emulate_media(media="print")

    assert page.locator(".card:visible").count() == count - 1
    assert page.locator("form:visible, nav:visible, button:visible").count() == 0
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_print_unfolds_what_is_folded(page: Page) -> None:
    folded = page.locator("details:not([open]) table")
    assert [folded.nth(place).is_visible() for place in range(folded.count())] == [False, False]

    page.emulate_media(media="print")

    assert [folded.nth(place).is_visible() for place in range(folded.count())] == [True, True]


def test_dark_is_dark_and_light_is_light(page: Page, tmp_path: Path) -> None:
    pictures = {}
    for scheme in ("light", "dark"):
        page.emulate_media(media="screen", color_scheme=scheme)  # type: ignore[arg-type]
        pictures[scheme] = page.screenshot(path=tmp_path / f"{scheme}.png")
        ground, ink = page.evaluate(
            "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
        )
        assert contrast(ground, ink) > 7  # the strict level of WCAG
        assert (luminance(ground) > 0.5) == (scheme == "light")
    assert pictures["light"] != pictures["dark"]


def luminance(colour: str) -> float:
    """The relative luminance of "rgb(1, 2, 3)", as WCAG defines it."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, from 1 to 21."""
    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)
