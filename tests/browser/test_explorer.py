from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


@pytest.fixture
def explorer(open_notebook):
    explorer = open_notebook("explorer").locator(".seglab-explorer")
    explorer.scroll_into_view_if_needed()
    expect(explorer.locator(".seglab-status")).to_contain_text("5 segments")
    return explorer


def drag(page, target, start: float, end: float) -> None:
    """Press at a share of the width, move, release."""
    target.scroll_into_view_if_needed()
    box = target.bounding_box()
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + start * box["width"], y)
    page.mouse.down()
    page.mouse.move(box["x"] + end * box["width"], y, steps=12)
    page.mouse.up()


def test_a_dragged_slider_changes_the_picture(explorer, page):
    stage, status = explorer.locator(".seglab-stage"), explorer.locator(".seglab-status")
    before = stage.screenshot()
    computed = int(stage.get_attribute("data-result"))
    slider = explorer.get_by_role("slider", name="n_clusters")
    drag(page, slider, 0.17, 0.5)
    chosen = explorer.get_by_role("spinbutton", name="n_clusters").input_value()
    assert int(chosen) > 5
    expect(status).to_contain_text(f"{chosen} segments")
    expect(status).to_contain_text("ms")
    assert stage.screenshot() != before
    assert int(stage.get_attribute("data-result")) - computed < 12  # not one run for each pixel of the way
    explorer.get_by_role("button", name="reset").click()
    expect(status).to_contain_text("5 segments")
    expect(explorer.get_by_role("spinbutton", name="n_clusters")).to_have_value("5")
    assert stage.screenshot() == before


def test_a_value_that_is_not_accepted_is_told_in_one_line(explorer):
    alert, number = explorer.locator(".seglab-error"), explorer.get_by_role("spinbutton", name="n_clusters")
    number.fill("0")
    number.press("Enter")
    expect(alert).to_contain_text("n_clusters must be a whole number in [1, inf); got 0")
    expect(explorer.locator(".seglab-status")).to_contain_text("5 segments")  # the last good one stays
    number.fill("3")
    number.press("Enter")
    expect(explorer.locator(".seglab-status")).to_contain_text("3 segments")
    expect(alert).to_have_text("")


def test_uploads(explorer, tmp_path):
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[:, 30:] = (250, 200, 10)
    Image.fromarray(picture).save(tmp_path / "mine.png")
    explorer.get_by_label("your own").set_input_files(tmp_path / "mine.png")
    expect(explorer.locator(".seglab-picture")).to_have_value("mine.png")
    expect(explorer.locator(".seglab-status")).to_contain_text("2 segments")
    expect(explorer.locator(".seglab-code")).to_have_value(re.compile(r"image = 'mine\.png'"))
    (tmp_path / "wrong.png").write_text("this is no picture")
    explorer.get_by_label("your own").set_input_files(tmp_path / "wrong.png")
    expect(explorer.get_by_role("alert")).to_contain_text("wrong.png is no picture that can be read")
    expect(explorer.locator(".seglab-picture")).to_have_value("mine.png")


def test_the_copied_code_makes_the_same_segmentation(explorer, page):
    number = explorer.get_by_role("spinbutton", name="n_clusters")
    number.fill("4")
    number.press("Enter")
    expect(explorer.locator(".seglab-status")).to_contain_text("4 segments")
    explorer.get_by_label("picture", exact=True).select_option("camera")
    expect(explorer.locator(".seglab-code")).to_have_value(re.compile("camera"))
    explorer.get_by_role("button", name="copy as code").click()
    expect(explorer.locator(".seglab-copied")).to_have_text("copied")
    code = page.evaluate("() => navigator.clipboard.readText()")
    names: dict = {}
    exec(code, names)
    assert names["result"].n_segments == 4
    assert names["result"].shape == (512, 512)
    assert names["result"].method.n_clusters == 4


@pytest.mark.parametrize("where", ["lab/tree", "notebooks", "voila/render"])
def test_controls_obey_the_keyboard_in_each_front_end(open_notebook, page, type_on, where):
    explorer = open_notebook("explorer", where).locator(".seglab-explorer")
    status = explorer.locator(".seglab-status")
    expect(status).to_contain_text("5 segments")
    slider, show = explorer.get_by_role("slider", name="n_clusters"), explorer.get_by_label("show", exact=True)
    slider.focus()
    page.keyboard.press("ArrowRight")
    expect(explorer.get_by_role("spinbutton", name="n_clusters")).to_have_value("6")
    expect(status).to_contain_text("6 segments")
    show.focus()
    page.keyboard.press("ArrowDown")
    expect(show).to_have_value("both")
    opacity = explorer.get_by_label("opacity")
    before = opacity.input_value()
    opacity.focus()
    page.keyboard.press("ArrowLeft")
    expect(opacity).not_to_have_value(before)
    for control in (slider, opacity, explorer.get_by_role("button", name="copy as code"), show):
        type_on(control)
    explorer.get_by_role("button", name="reset").focus()
    page.keyboard.press("Enter")
    expect(status).to_contain_text("5 segments")


def test_clicks_on_the_picture_are_seeds(open_notebook, page):
    explorer = open_notebook("seeds").locator(".seglab-explorer")
    status, seeds = explorer.locator(".seglab-status"), explorer.get_by_role("group", name="seeds").last
    expect(status).to_contain_text("20 segments")
    expect(seeds).to_contain_text("none: found automatically")
    stage = explorer.locator(".seglab-stage")
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    stage.click(position={"x": 0.25 * box["width"], "y": 0.5 * box["height"]})
    expect(status).to_contain_text("1 segments")
    stage.click(position={"x": 0.75 * box["width"], "y": 0.25 * box["height"]})
    expect(status).to_contain_text("2 segments")
    expect(seeds).to_contain_text("2 seeds")
    written = seeds.get_by_role("textbox").input_value()
    first, second = ([int(number) for number in point.split(",")] for point in written.split(";"))
    assert first == pytest.approx([151, 96], abs=1)  # of 303 rows and 384 columns; a mouse is at whole screen pixels
    assert second == pytest.approx([75, 288], abs=1)
    code = f"seeds=[({first[0]}, {first[1]}), ({second[0]}, {second[1]})]"
    expect(explorer.locator(".seglab-code")).to_have_value(re.compile(re.escape(code)))
    mark = explorer.get_by_role("img", name=f"seed 2: row {second[0]}, column {second[1]}").bounding_box()
    assert mark["x"] + mark["width"] / 2 == pytest.approx(box["x"] + 0.75 * box["width"], abs=2)
    assert mark["y"] + mark["height"] / 2 == pytest.approx(box["y"] + 0.25 * box["height"], abs=2)
    seeds.get_by_role("button", name="take back the last of the seeds").click()
    expect(status).to_contain_text("1 segments")
    seeds.get_by_role("textbox").fill("10, 10; 150, 100; 400, 1")
    seeds.get_by_role("textbox").press("Enter")
    expect(explorer.get_by_role("alert")).to_contain_text("rows 0 to 302 and columns 0 to 383")
    seeds.get_by_role("textbox").fill("10, 10; 150, 100; 200, 200")
    seeds.get_by_role("textbox").press("Enter")
    expect(status).to_contain_text("3 segments")
    expect(explorer.locator(".seglab-error")).to_have_text("")
    seeds.get_by_role("button", name="take back all seeds").click()
    expect(status).to_contain_text("20 segments")
    expect(explorer.locator(".seglab-mark")).to_have_count(0)
