"""The page in headless Chromium, served by the command, used as a person would.

Needs the extras "demo" and "browser", and Debian's chromium and chromium-driver.
"""

import base64
import io
import json
import socket
import threading
import urllib.request

import chromium
import numpy as np
import pytest
from PIL import Image
from tiny_runs import gan_run

from t2i_jax import Sampler
from t2i_jax.commands import demo
from t2i_jax.demo_page import artist
from t2i_jax.recipes.gan_int_cls import Recipe

from .samplers import Scales

pytest.importorskip("gradio")
wait = pytest.importorskip("selenium.webdriver.support.ui")

RED, BLUE = "a small red bird", "a blue bird with 'quotes' & <b>"
ENTER, RIGHT = "\ue007", "\ue014"


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return gan_run(tmp_path_factory.mktemp("runs") / "gan")


@pytest.fixture(scope="module")
def address(workdir):
    """Of the page of a run that shows where it read words."""

    def examine(self, networks, seen, out):
        return {"attention": np.ones((len(out["images"][-1]), 8, 8, 201))}

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    argv = [f"--workdir={workdir}", f"--port={port}", "--caption", RED, "--caption", BLUE]
    ended = threading.Event()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Recipe, "examine", examine)
        server = threading.Thread(target=demo.run, args=(demo.parse(argv), ended), daemon=True)
        server.start()
        while server.is_alive() and not _answers(f"http://127.0.0.1:{port}"):
            server.join(0.2)
        assert server.is_alive(), "the command ended; its error is above"
        yield f"http://127.0.0.1:{port}/"
    ended.set()
    server.join(20)
    assert not server.is_alive()
    assert not _answers(f"http://127.0.0.1:{port}"), "closed with the command"


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5):
            return True
    except OSError:
        return False


@pytest.fixture(scope="module")
def chrome():
    with chromium.opened(1280, 900) as driver:
        yield driver


class Page:
    """The opened page."""

    def __init__(self, chrome):
        self.chrome = chrome

    def find(self, selector):
        return self.chrome.find_element("css selector", selector)

    def until(self, condition):
        return wait.WebDriverWait(self.chrome, 20, 0.05).until(lambda _: condition())

    def write(self, selector, text):
        """Replaces the content of a field by hand."""
        field = self.find(selector)
        field.send_keys("\ue009a\ue009")  # everything, by Ctrl+A
        field.send_keys(text)
        return field

    def open(self, label):
        tabs = self.chrome.find_elements("css selector", "button[role=tab]")
        next(tab for tab in tabs if tab.text == label).click()

    def addresses(self, where) -> list[str]:
        script = "return [...document.querySelectorAll(arguments[0])].map(image => image.src)"
        return self.chrome.execute_script(script, f"{where} img")

    def images(self, where, other_than=()) -> np.ndarray:
        """The pixels that are shown there, once they are others."""
        self.until(lambda: self.addresses(where) not in ([], list(other_than)))
        return self.shown(where)

    def shown(self, where) -> np.ndarray:
        """The pixels that are shown there now."""
        return np.stack([_pixels(address) for address in self.addresses(where)])


def _pixels(address: str) -> np.ndarray:
    head, data = address.split(",", 1)
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


@pytest.fixture
def page(chrome, address):
    """Newly opened, with the first example drawn; afterwards nothing may have been complained of,
    and nothing asked of any other machine.
    """
    chrome.get_log("performance")
    chrome.get(address)
    opened = Page(chrome)
    opened.images("#images")
    yield opened
    assert chrome.get_log("browser") == []
    messages = [json.loads(e["message"])["message"] for e in chrome.get_log("performance")]
    asked = [m["params"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    urls = [a["request"]["url"] for a in asked]
    assert address in urls and all(u.startswith((address, "data:")) for u in urls), urls


@pytest.fixture(scope="module")
def sampler(workdir):
    """Of its own, with the page's batches: the same bytes."""
    return Sampler.from_workdir(workdir, batch_size=4)


def test_captions_and_seeds_choose_the_images(page, sampler):
    first = page.addresses("#images")
    np.testing.assert_array_equal(page.images("#images"), sampler.sample(RED, 0, 4))
    page.write("#caption textarea", "a grey bird").send_keys(ENTER)
    grey = page.images("#images", first)
    np.testing.assert_array_equal(grey, sampler.sample("a grey bird", 0, 4))
    kept = page.addresses("#images")
    page.find("#new").click()
    page.images("#images", kept)
    seed = int(page.find("#seed input").get_attribute("value"))
    assert seed != 0
    other = page.addresses("#images")
    page.write("#seed input", "0")
    page.find("#draw").click()
    page.images("#images", other)
    assert page.addresses("#images") == kept, "the same seed, the same images"
    page.write("#num input[type=number]", "2")
    page.find("#cut input").click()
    page.until(lambda: page.chrome.find_elements("css selector", "#depth"))
    page.find("#draw").click()
    cut = page.images("#images", kept)
    np.testing.assert_array_equal(cut, sampler.sample("a grey bird", 0, 2, truncation=0.5))
    before = page.addresses("#images")
    page.find("#examples .example:last-child").click()
    drawn = page.images("#images", before)
    np.testing.assert_array_equal(drawn, sampler.sample(BLUE, 0, 2, truncation=0.5))


def test_images_are_not_blurred_and_can_be_kept(page):
    shown = page.find("#images img")
    assert shown.value_of_css_property("image-rendering") == "pixelated"
    assert shown.size["width"] > 200, "of 32 pixels"
    link = page.find("#images .keep a")
    assert link.get_attribute("download").endswith(".png")
    assert _pixels(link.get_attribute("href")).shape[1] > 4 * 128


@pytest.mark.parametrize(
    "label, place", [("To another caption", "#to_caption"), ("To another seed", "#to_seed")]
)
def test_the_slider_moves_through_the_steps(page, sampler, label, place):
    page.open(label)
    images = page.images(place)
    steps = (
        sampler.interpolate(RED, BLUE, 8)
        if "caption" in label
        else sampler.interpolate_noise(RED, 0, 1, 8)
    )
    np.testing.assert_array_equal(images[1:], steps)
    large, slider = page.find(f"{place} .large"), page.find(f"{place} input[type=range]")
    for step in (1, 2):
        slider.send_keys(RIGHT)
        np.testing.assert_array_equal(_pixels(large.get_attribute("src")), steps[step])
    page.find(f"{place} .strip img:last-child").click()
    np.testing.assert_array_equal(_pixels(large.get_attribute("src")), steps[7])
    assert slider.get_attribute("value") == "7"
    assert len(page.chrome.find_elements("css selector", f"{place} .now")) == 1


def test_attention_has_a_picture_for_each_token(page, sampler):
    page.open("Attention")
    images = page.images("#attention")
    assert len(images) == 1 + len(RED)
    np.testing.assert_array_equal(images[0], sampler.sample(RED)[0])
    labels = page.chrome.find_elements("css selector", "#attention figcaption")
    assert [label.get_attribute("textContent") for label in labels] == list(RED)


def test_what_is_wrong_is_a_sentence(page):
    before = page.addresses("#images")
    for field, text, message in (
        ("#caption textarea", "鳥", "knows none of its characters"),
        ("#caption textarea", " ", "An empty caption"),
        ("#seed input", "-1", "Seed=-1: must be a whole number from 0"),
    ):
        page.write("#caption textarea", RED)
        page.write(field, text).send_keys(ENTER)
        page.until(lambda m=message: m in page.find("#note").text)
        assert page.find("#note .wrong").is_displayed()
    assert page.addresses("#images") == before
    page.write("#seed input", "0")
    page.write("#caption textarea", "a ${1+1} ré <b>bird</b>").send_keys(ENTER)
    page.until(lambda: "unknown characters" in page.find("#note").text)
    assert "'a ${1+1} ré <b>bird</b>'" in page.find("#note").text
    assert not page.chrome.find_elements("css selector", "#note b, #note .wrong")


def test_facts_are_in_a_fold(page):
    assert "gan_int_cls" in page.find("#title h1").text
    assert not page.chrome.find_elements("css selector", "#about .facts")
    page.find("#about button").click()
    page.until(lambda: page.chrome.find_elements("css selector", "#about .facts"))
    rows = page.find("#about .facts").text.splitlines()
    assert "System gan_int_cls" in rows and "Step 2" in rows


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_fits_the_screen(page, width):
    metrics = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 500}
    page.chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    page.until(lambda: page.chrome.execute_script("return innerWidth") == width)
    assert page.chrome.execute_script("return document.documentElement.scrollWidth") <= width
    page.chrome.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_several_sizes_and_no_text(chrome):
    from t2i_jax.demo_page import page, serving

    blocks = page.page(artist.compiled(Scales(), None), "of two sizes", [], [])
    [address] = serving.serve(blocks, "127.0.0.1", None, share=False)
    chrome.get(address)
    opened = Page(chrome)
    large = opened.images("#images")
    assert large.shape == (4, 16, 16, 3) and not large.any(), "of the seed 0"
    tabs = chrome.find_elements("css selector", "button[role=tab]")
    assert [tab.text for tab in tabs] == ["Images", "To another seed"]
    assert not chrome.find_elements("css selector", "#caption textarea, #examples")
    before = opened.addresses("#images")
    opened.find("#width input").click()
    opened.write("#seed input", "7").send_keys(ENTER)
    small = opened.images("#images", before)
    assert small.shape == (4, 8, 8, 3) and (small == 7).all()
    blocks.close(verbose=False)


def test_two_people_get_their_own_images(page, sampler, address):
    """In two windows, each asking before the other's is drawn."""
    chrome, first = page.chrome, page.chrome.current_window_handle
    chrome.switch_to.new_window("window")
    chrome.get(address)
    page.images("#images")
    captions = {first: "a grey bird", chrome.current_window_handle: "ten black owls"}
    for seed in ("1", "2"):
        for window, caption in captions.items():
            chrome.switch_to.window(window)
            page.write("#seed input", seed)
            page.write("#caption textarea", caption).send_keys(ENTER)
    for window, caption in captions.items():
        chrome.switch_to.window(window)
        expected = sampler.sample(caption, 2, 4)
        page.until(lambda e=expected: np.array_equal(page.shown("#images"), e))
    chrome.close()
    chrome.switch_to.window(first)
