"""The pictures of docs/ as a reader has them: opened in Chromium, in a light and in a dark page."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

DOCS = Path(__file__).parents[2] / "docs"
LOOK = """() => {
  const shapes = [...document.querySelectorAll('rect')];
  const light = colour => {
    const parts = colour.match(/[\\d.]+/g).slice(0, 3).map(part => part / 255)
      .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  };
  const inside = (text, box) =>
    text.left >= box.left && text.right <= box.right && text.top >= box.top && text.bottom <= box.bottom;
  return [...document.querySelectorAll('text')].map(text => {
    const place = text.getBoundingClientRect();
    const behind = shapes.filter(shape => inside(place, shape.getBoundingClientRect())).pop();
    const cut = shapes.some(shape => {
      const box = shape.getBoundingClientRect();
      const beside = place.right < box.left || place.left > box.right;
      const above = place.bottom < box.top || place.top > box.bottom;
      return !beside && !above && !inside(place, box);
    });
    const [a, b] = [light(getComputedStyle(text).fill), behind ? light(getComputedStyle(behind).fill) : NaN];
    return {text: text.textContent, cut, contrast: (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)};
  });
}"""
LEAST_CONTRAST = 4.5
"""Of text and what is behind it, as the Web Content Accessibility Guidelines ask (AA)."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["house.svg", "data-way.svg"])
def test_every_word_is_readable(browser: Browser, name: str, scheme: str) -> None:
    page = browser.new_context(color_scheme=scheme, viewport={"width": 900, "height": 900}).new_page()  # type: ignore[arg-type]
    page.set_default_timeout(120_000)
    page.goto((DOCS / name).as_uri())

    seen = page.evaluate(LOOK)

    assert len(seen) > 20
    assert [each["text"] for each in seen if each["cut"]] == []
    assert [each for each in seen if not each["contrast"] >= LEAST_CONTRAST] == []
