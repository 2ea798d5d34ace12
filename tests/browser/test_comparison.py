from __future__ import annotations

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


def test_zoom_is_linked_within_a_picture_and_scores_are_shown(open_notebook, page):
    grid = open_notebook("comparison").locator(".seglab-comparison")
    grid.scroll_into_view_if_needed()
    captions = grid.locator(".seglab-caption")
    expect(captions).to_have_count(6)
    expect(captions.nth(1)).to_contain_text("5 segments")
    for k in range(3):
        expect(captions.nth(k)).to_contain_text("SC ")
        expect(captions.nth(k)).to_contain_text("VI ")
    expect(captions.nth(5)).to_contain_text("segments")
    expect(captions.nth(5)).not_to_contain_text("SC ")  # no truth for the second picture

    cells, stages = grid.locator(".seglab-cell"), grid.locator(".seglab-stage")
    look = [cells.nth(k).screenshot() for k in range(6)]
    box = cells.nth(0).bounding_box()
    page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 0.25 * box["height"])
    page.mouse.wheel(0, -240)  # not clicked yet: the page may scroll, the picture stays
    cells.nth(0).click(position={"x": 0.25 * box["width"], "y": 0.25 * box["height"]})
    expect(cells.nth(0)).to_have_attribute("data-zoom", "1.000")
    page.mouse.wheel(0, -240)
    expect(cells.nth(0)).not_to_have_attribute("data-zoom", "1.000")
    moved = [stages.nth(k).evaluate("node => node.style.transform") for k in range(6)]
    assert moved[0] == moved[1] == moved[2] != moved[3] == moved[4]
    assert cells.nth(1).screenshot() != look[1]
    assert cells.nth(4).screenshot() == look[4]

    before = moved[0]
    page.keyboard.press("ArrowRight")
    after = [stages.nth(k).evaluate("node => node.style.transform") for k in range(3)]
    assert after[0] == after[1] == after[2] != before
    grid.get_by_role("button", name="whole pictures").click()
    expect(cells.nth(2)).to_have_attribute("data-zoom", "1.000")


@pytest.mark.parametrize("where", ["lab/tree", "notebooks"])
def test_pictures_move_by_the_keyboard(open_notebook, page, type_on, where):
    grid = open_notebook("comparison", where).locator(".seglab-comparison")
    cell, stage = grid.locator(".seglab-cell").first, grid.locator(".seglab-stage").first
    expect(grid.locator(".seglab-caption").first).to_contain_text("segments")
    cell.focus()
    page.keyboard.press("+")
    expect(cell).to_have_attribute("data-zoom", "1.500")
    before = stage.evaluate("node => node.style.transform")
    page.keyboard.press("ArrowRight")
    assert stage.evaluate("node => node.style.transform") != before
    for control in (cell, grid.get_by_label("show", exact=True), grid.get_by_role("button", name="zoom in")):
        type_on(control)
    cell.focus()
    page.keyboard.press("0")
    expect(cell).to_have_attribute("data-zoom", "1.000")
    for row in grid.get_by_role("row").all():
        heads = row.get_by_role("columnheader").count() + row.get_by_role("rowheader").count()
        assert heads + row.get_by_role("cell").count() == 4  # the picture's name and three methods


def test_comparison_in_voila(open_notebook):
    grid = open_notebook("comparison", "voila/render").locator(".seglab-comparison")
    expect(grid.locator(".seglab-caption").nth(4)).to_contain_text("5 segments")
    expect(grid.locator("img.seglab-fill").nth(4)).to_be_visible()
