from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


def moves(widget, page) -> None:
    """By slider, keys, a measure's button and a click on its curve: pictures, text and values move together."""
    stages, text = widget.locator(".seglab-stage"), widget.locator(".seglab-text")
    slider = widget.get_by_label("threshold", exact=True).and_(widget.locator("input"))
    last = int(slider.get_attribute("max"))
    widget.scroll_into_view_if_needed()
    slider.fill("0")
    for k in (0, 1):
        expect(stages.nth(k)).to_have_attribute("data-frame", "0")
    fine = [stages.nth(k).screenshot() for k in (0, 1)]
    slider.fill(str(last))
    for k in (0, 1):
        expect(stages.nth(k)).to_have_attribute("data-frame", str(last))
        assert stages.nth(k).screenshot() != fine[k]
    expect(text).to_contain_text("1 segment ·")
    expect(slider).to_have_attribute(
        "aria-valuetext", re.compile(r"1 segment .*SC 0\.\d\d, PRI 0\.\d\d, VI \d\.\d\d, F 0\.00")
    )
    widget.focus()
    page.keyboard.press("ArrowLeft")
    expect(stages.first).to_have_attribute("data-frame", str(last - 1))
    page.keyboard.press("Home")
    expect(stages.first).to_have_attribute("data-frame", "0")
    expect(widget.get_by_role("button", name="lower threshold (left arrow)")).to_be_disabled()
    for name in ("SC", "PRI", "VI", "F"):
        measure = widget.locator(f"[data-measure='{name}']")
        best = measure.get_by_role("button")
        best.click()
        value = best.inner_text().removeprefix("best ")
        expect(measure.locator(".seglab-value")).to_have_text(value)
        expect(measure.get_by_role("img")).to_have_attribute("aria-label", re.compile(f"{value} here, best {value}"))
    chart = widget.locator("[data-measure='SC'] svg")
    box = chart.bounding_box()
    chart.click(position={"x": box["width"] * 0.95, "y": box["height"] / 2})
    expect(stages.first).to_have_attribute("data-frame", str(last))


def test_a_threshold_moves_everything(open_notebook, page):
    moves(open_notebook("cuts").locator(".seglab-cuts"), page)


def test_curves_are_hidden_until_asked_for(open_notebook):
    widget = open_notebook("cuts").locator(".seglab-cuts")
    line, best = widget.locator(".seglab-curve").first, widget.locator(".seglab-best").first
    button = widget.locator("[data-measure='SC'] button")
    expect(best).to_be_visible()
    widget.get_by_label("show the curves and the best").uncheck()
    for hidden in (line, best, button):
        expect(hidden).to_be_hidden()
    widget.get_by_role("button", name="higher threshold (right arrow)").click()
    expect(widget.locator(".seglab-visited").first).to_have_attribute("d", re.compile("M.*M"))  # two places were seen
    widget.get_by_label("show the curves and the best").check()
    expect(button).to_be_visible()
    expect(best).to_be_visible()


def test_cuts_in_voila(open_notebook, page):
    moves(open_notebook("cuts", "voila/render").locator(".seglab-cuts"), page)


def test_cuts_without_a_kernel(page, tmp_path):
    """The page that `save_html` writes: no server, no network."""
    from seglab import datasets
    from seglab.methods import SLIC
    from seglab.region_graph import merge_hierarchical
    from seglab.widgets import explore_cuts

    scene = datasets.shapes(height=45, width=60)
    tree = merge_hierarchical(SLIC(n_segments=40).segment(scene.image).labels, scene.image, "boundary")
    path = explore_cuts(tree, scene.image, scene.instances, thresholds=9).save_html(tmp_path / "cuts.html")
    page.context.set_offline(True)
    try:
        page.goto(path.as_uri())
        moves(page.locator(".seglab-cuts"), page)
    finally:
        page.context.set_offline(False)
