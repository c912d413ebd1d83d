"""Between two marks a program writes, around them people do."""

from __future__ import annotations

import pytest
from marked_page import marks, with_part

PAGE = "# Heading\n<!-- a.py begins -->\nold\n<!-- a.py ends -->\nend\n"


def test_what_stands_between_the_marks_is_replaced() -> None:
    page = with_part(PAGE, "a.py", "| new |\n")

    assert page == "# Heading\n<!-- a.py begins -->\n\n| new |\n\n<!-- a.py ends -->\nend\n"
    assert with_part(page, "a.py", "| new |") == page


@pytest.mark.parametrize(
    "page",
    [
        "no marks",
        "<!-- a.py begins -->",
        "<!-- a.py ends --><!-- a.py begins -->",
        PAGE + PAGE,
        PAGE.replace("a.", "b."),
    ],
)
def test_a_page_without_its_marks_is_left_alone(page: str) -> None:
    with pytest.raises(ValueError, match=r"<!-- a\.py begins -->"):
        with_part(page, "a.py", "new")


def test_each_script_has_marks_of_its_own() -> None:
    assert set(marks("a.py")).isdisjoint(marks("b.py"))
