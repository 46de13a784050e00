"""The page in headless Chromium, from file://, with everything clicked that can be clicked.

Needs the extra "browser", and Debian's chromium and chromium-driver.
"""

import json

import chromium
import numpy as np
import pytest

from t2i_jax.reporting import page, samples, table
from t2i_jax.reporting.gather import gather

from .fake_sweeps import record, run, start

POINTS = {"gan": (9.0, 9.4), "gan_cls": (2.0, 2.2), "<i>&": (30.0, 30.1), "late": ()}


@pytest.fixture(scope="module")
def driver():
    with chromium.opened(1300, 900) as driver:
        yield driver


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> str:
    """Of the page of two seeds of three points, and one that has not begun."""
    root = tmp_path_factory.mktemp("sweep")
    for point, values in POINTS.items():
        for seed, fid in enumerate(values):
            rows = [
                {"step": s, "g/total": fid + s / 100, "d/total": 5.0} for s in range(10, 110, 10)
            ]
            found = [
                record("fid2k", s, {"fid": fid + 100 / s}, lower_is_better=["fid"])
                for s in (50, 100)
            ]
            folder = root / f"seed{seed}" / point
            run(folder, {"seed": seed, "x": point}, found, rows, [start(0, 100, 1.0)])
    plan = [{"name": "late", "seed": 0, "status": "pending", "overrides": {}}]
    (root / "sweep.json").write_text(json.dumps({"points": plan}))
    sweep = gather([str(root)])
    asked = samples.Asked(("a red bird", "a <b>blue</b> bird"), "ours", 0)
    images = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(samples, "latest_step", lambda _: 100)
        drawn = {one.key: samples.drawn(one, asked, lambda *_: images) for one in sweep.runs}
    (root / "report.html").write_text(page.page(sweep, table.columns(sweep), asked, drawn))
    return (root / "report.html").as_uri()


@pytest.fixture
def opened(driver, address):
    """The page, newly opened; afterwards nothing may have been complained of or asked for."""
    driver.get_log("performance")
    driver.get(address)
    yield driver
    assert driver.get_log("browser") == []
    messages = [json.loads(e["message"])["message"] for e in driver.get_log("performance")]
    asked = [m["params"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    urls = [a["request"]["url"] for a in asked]
    assert address in urls and all(u == address or u.startswith("data:") for u in urls), urls


def names(driver, table_="#results") -> list[str]:
    """The points that a table shows, from above."""
    rows = driver.find_elements("css selector", f"{table_} tbody tr")
    return [r.get_attribute("data-point") for r in rows if r.is_displayed()]


def head(driver, text: str, table_="#results"):
    heads = driver.find_elements("css selector", f"{table_} thead th")
    return next(h for h in heads if h.text.splitlines() and text in h.text)


def lines(driver) -> list[tuple[str, float]]:
    """Point and width of every line of the chart."""
    return [
        (p.get_attribute("data-point"), float(p.get_attribute("stroke-width")))
        for p in driver.find_elements("css selector", "#chart path")
    ]


def element(driver, selector: str):
    return driver.find_element("css selector", selector)


def test_heads_sort_and_what_is_missing_stays_last(opened):
    assert names(opened) == ["late", "<i>&", "gan", "gan_cls"], "the plan, then by name"
    for expected, direction in (
        (["gan_cls", "gan", "<i>&", "late"], "ascending"),
        (["<i>&", "gan", "gan_cls", "late"], "descending"),
    ):
        column = head(opened, "fid")
        column.find_element("css selector", "button").click()
        assert names(opened) == expected and column.get_attribute("aria-sort") == direction
    button = head(opened, "point").find_element("css selector", "button")
    button.send_keys("\ue007")  # Enter
    assert names(opened) == ["<i>&", "gan", "gan_cls", "late"]
    assert head(opened, "fid").get_attribute("aria-sort") is None
    assert names(opened, "#costs") == ["late", "<i>&", "gan", "gan_cls"], "a table of its own"


def test_bold_where_the_spreads_part(opened):
    (best,) = opened.find_elements("css selector", "#results strong")
    assert best.text == "3.10 ± 0.14", "at step 100: 3.0 and 3.2"


def test_columns_are_hidden_by_their_boxes(opened):
    opened.find_element("css selector", ".columns summary").click()
    boxes = opened.find_elements("css selector", "input[data-table=results]")
    box = next(b for b in boxes if "fid" in b.find_element("xpath", "..").text)
    cells = opened.find_elements("css selector", "#results tr > :last-child")
    assert all(cell.is_displayed() for cell in cells)
    box.click()
    assert not any(cell.is_displayed() for cell in cells)
    box.click()
    assert all(cell.is_displayed() for cell in cells)


def test_every_seed_is_shown_on_request(opened):
    seeds = element(opened, "#results .number .seeds")
    assert not seeds.is_displayed()
    element(opened, "[data-toggles=results]").click()
    assert seeds.is_displayed()
    text = element(opened, "#results tr[data-point=gan] .seeds").text.splitlines()
    assert text == ["seed 0: 10, step 100", "seed 1: 10.4, step 100"]


def test_the_filter_is_for_tables_samples_and_curves(opened):
    element(opened, "#filter").send_keys("GAN_")
    for table_ in ("#results", "#costs"):
        assert names(opened, table_) == ["gan_cls"]
    assert names(opened, ".strips") == ["gan_cls"] * 2
    assert {point for point, _ in lines(opened)} == {"gan_cls"}
    element(opened, "#filter").clear()
    element(opened, "#filter").send_keys("no such")
    assert names(opened) == [] and lines(opened) == []
    assert "nothing to draw" in element(opened, "#chart").text


def test_the_chart_has_a_choice_of_metric_axis_and_points(opened):
    chart, metric = element(opened, "#chart"), element(opened, "#metric")
    options = metric.find_elements("css selector", "option")
    assert [o.text for o in options] == ["fid2k: fid ↓", "g/total", "d/total"]
    assert sorted(lines(opened)) == sorted(
        (p, w) for p in ("gan", "gan_cls", "<i>&") for w in (1, 1, 2)
    )
    before = element(opened, "#chart path").get_attribute("d")
    options[1].click()
    assert element(opened, "#chart path").get_attribute("d") != before
    assert "steps" in chart.text
    element(opened, "#axis option[value=hours]").click()
    assert "device-hours" in chart.text
    button = element(opened, ".legend button[data-point=gan]")
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    assert {point for point, _ in lines(opened)} == {"gan_cls", "<i>&"}
    button.click()
    assert len(lines(opened)) == 9
    smooth = element(opened, "#smooth")
    before = element(opened, "#chart path").get_attribute("d")
    smooth.send_keys("\ue014" * 5)  # arrow to the right
    assert element(opened, "#chart path").get_attribute("d") != before


def test_the_chart_tells_values(opened):
    element(opened, "#metric option[value='g/total']").click()
    svg, tip = element(opened, "#chart svg"), element(opened, "#tip")
    opened.execute_script("arguments[0].scrollIntoView({block: 'center'})", svg)
    chromium.webdriver.ActionChains(opened).move_to_element(svg).perform()
    assert tip.is_displayed() and len(tip.text.splitlines()) == 4
    opened.execute_script("arguments[0].focus()", svg)
    svg.send_keys("\ue014" * 12)  # to the end
    # The means of 30.0, 30.1 and so on, a hundredth a step higher at step 100; highest first.
    assert tip.text.splitlines() == ["steps 100", "31.05 <i>&", "10.2 gan", "3.1 gan_cls"]
    svg.send_keys("\ue012")
    assert tip.text.splitlines()[0] == "steps 90"


def test_samples_are_zoomed(opened):
    button = element(opened, ".zoomable")
    small = button.find_element("css selector", "img")
    assert small.size["width"] == 96
    assert small.value_of_css_property("image-rendering") == "pixelated"
    element(opened, "#side").send_keys("\ue014" * 2)
    assert small.size["width"] == 128
    dialog = element(opened, "#zoom")
    assert not dialog.is_displayed()
    button.send_keys("\ue007")
    large = dialog.find_element("css selector", "img")
    assert dialog.is_displayed() and large.size["width"] > 500
    assert large.get_attribute("src") == small.get_attribute("src")
    assert "seed 0: a red bird" in dialog.text
    chromium.webdriver.ActionChains(opened).send_keys("\ue00c").perform()  # Escape
    assert not dialog.is_displayed()
    button.click()
    dialog.find_element("css selector", "button").click()
    assert not dialog.is_displayed()
    captions = opened.find_elements("css selector", ".strips .caption")
    assert [c.text for c in captions] == ["a red bird", "a <b>blue</b> bird"]


@pytest.mark.parametrize("width, scheme", [(420, "dark"), (1300, "light")])
def test_the_page_fits_the_screen(opened, width, scheme):
    send = opened.execute_cdp_cmd
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    send("Emulation.setDeviceMetricsOverride", metrics)
    feature = {"name": "prefers-color-scheme", "value": scheme}
    send("Emulation.setEmulatedMedia", {"features": [feature]})
    assert opened.execute_script("return document.documentElement.scrollWidth") <= width
    colour = element(opened, "body").value_of_css_property("background-color")
    assert (colour == "rgba(22, 25, 28, 1)") == (scheme == "dark")
    send("Emulation.clearDeviceMetricsOverride", {})
