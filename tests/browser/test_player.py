from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


def shown(player, i: int) -> None:
    """Wait until frame i is what is seen: the picture and the text."""
    expect(player.locator(f".seglab-stage[data-frame='{i}']")).to_be_visible()
    expect(player.locator(".seglab-text")).to_contain_text(f"iteration {i}")


def steps_through(player, page) -> None:
    """First, scrub, next, play to the end, back to the first: the first picture again, pixel for pixel."""
    stage, slider = player.locator(".seglab-stage"), player.locator(".seglab-slider")
    player.scroll_into_view_if_needed()
    shown(player, 0)
    first = stage.screenshot()
    last = int(slider.get_attribute("max"))
    assert last >= 3
    slider.fill("2")
    shown(player, 2)
    assert stage.screenshot() != first
    player.get_by_role("button", name="next step").click()
    shown(player, 3)
    player.get_by_role("button", name="play (space)").click()
    expect(player.locator(".seglab-count")).to_have_text(f"{last + 1} / {last + 1}")
    shown(player, last)
    expect(player.get_by_role("button", name="play (space)")).to_be_visible()
    expect(player.get_by_role("button", name="last step")).to_be_disabled()
    player.get_by_role("button", name="first step").click()
    shown(player, 0)
    assert stage.screenshot() == first


def test_player_by_keyboard_and_layers(open_notebook, page, type_on):
    player = open_notebook("player").locator(".seglab-player")
    shown(player, 0)
    player.focus()
    page.keyboard.press("ArrowRight")
    shown(player, 1)
    page.keyboard.press("End")
    expect(player.get_by_role("button", name="next step")).to_be_disabled()
    page.keyboard.press("Home")
    shown(player, 0)
    slider = player.locator(".seglab-slider")
    slider.focus()
    page.keyboard.press("ArrowRight")
    shown(player, 1)
    for control in (player, slider, player.get_by_label("speed"), player.get_by_role("button", name="next step")):
        type_on(control)
    player.get_by_label("speed").select_option("½×")
    player.focus()
    page.keyboard.press("Space")
    expect(player.get_by_role("button", name="pause (space)")).to_be_visible()
    page.keyboard.press("Space")
    expect(player.get_by_role("button", name="play (space)")).to_be_visible()
    shown(player, 1)  # half a step a second: it has not moved yet
    player.get_by_label("speed").select_option("8×")
    page.keyboard.press("Home")
    shown(player, 0)
    fill, edges = player.locator("img.seglab-fill"), player.locator("img.seglab-edges")
    expect(fill).to_be_visible()
    expect(edges).to_be_hidden()
    player.get_by_label("show").select_option("edges")
    expect(edges).to_be_visible()
    expect(fill).to_be_hidden()
    player.get_by_label("show").select_option("labels")
    player.get_by_label("opacity").fill("0.2")
    expect(fill).to_have_css("opacity", "0.2")
    expect(player.locator("img.seglab-panel").first).to_have_attribute("alt", re.compile("iteration 0"))
    # a click into the curve of the objective goes to the step there
    chart = player.locator(".seglab-chart")
    box = chart.bounding_box()
    chart.click(position={"x": box["width"] * 0.97, "y": box["height"] / 2})
    expect(player.get_by_role("button", name="next step")).to_be_disabled()


@pytest.mark.parametrize("where", ["lab/tree", "notebooks", "voila/render"])
def test_player_scrubs_and_plays_in_each_front_end(open_notebook, page, where):
    player = open_notebook("player", where).locator(".seglab-player")
    steps_through(player, page)


def test_player_without_a_kernel(page, tmp_path):
    """The page that `save_html` writes: no server, no network."""
    from seglab import datasets
    from seglab.methods import KMeans
    from seglab.widgets import step_through

    player = step_through(KMeans(n_clusters=4, max_iter=8), datasets.shapes(height=45, width=60).image, interval=100)
    path = player.save_html(tmp_path / "player.html")
    page.context.set_offline(True)
    try:
        page.goto(path.as_uri())
        steps_through(page.locator(".seglab-player"), page)
    finally:
        page.context.set_offline(False)
