"""The page in a real browser: what is clicked is what is reported; a closed tab loses nothing."""

import json
import time
import urllib.parse

import chromium
import pytest

from evaluation.rating.raters import CAPTIONS, LEVELS, made
from t2i_jax.evaluation.rating import protocol

A, B, C = LEVELS


@pytest.fixture(scope="module")
def downloads(tmp_path_factory):
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def chrome(downloads):
    with chromium.opened(1200, 860, downloads) as driver:
        yield driver


class Rater:
    """Who opens a page and answers by what the key says is shown.

    The browser keeps answers by the page's digest: each test has a page of its own.
    """

    def __init__(self, chrome, folder, key):
        self.chrome, self.key = chrome, key
        chrome.get_log("performance")
        chrome.get((folder / protocol.PAGE).as_uri())

    def find(self, name):
        return self.chrome.find_element("id", name)

    def begin(self, name):
        self.find("rater").send_keys(name)
        self.chrome.find_element("css selector", "#start button").click()

    @property
    def step(self):
        """The number of the question that is shown, from 0."""
        return int(self.find("progress").text.split()[0]) - 1

    @property
    def runs(self):
        """Names of the runs on the screen, from left to right."""
        return self.key["items"][self.step // len(self.key["questions"])]["runs"]

    def press(self, key):
        self.chrome.find_element("tag name", "body").send_keys(key)

    def click(self, run):
        place = self.runs.index(run) + 1
        self.chrome.find_element("css selector", f"#images button:nth-child({place})").click()

    def csv(self):
        return self.find("csv").get_attribute("value")

    def errors(self):
        return self.chrome.get_log("browser")

    def fetched(self):
        """Schemes of all addresses that the page asked for."""
        events = [
            json.loads(entry["message"])["message"] for entry in self.chrome.get_log("performance")
        ]
        return {
            urllib.parse.urlsplit(event["params"]["request"]["url"]).scheme
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        }


def report(folder, tmp_path, csv):
    path = tmp_path / "answers.csv"
    path.write_text(csv, newline="")
    return protocol.report(folder / protocol.KEY, [path])[0]


def test_what_is_clicked_is_what_is_reported(chrome, downloads, tmp_path):
    folder, key = made(tmp_path, [A, B])
    rater = Rater(chrome, folder, key)
    rater.begin('Ann "O", 2')
    captions = [CAPTIONS[item["caption"]] for item in key["items"]]
    sizes = set()
    for step in range(26):
        assert rater.step == step
        item, fits = divmod(step, 2)
        assert rater.find("caption").text == (captions[item] if fits else "")
        images = chrome.find_elements("css selector", "#images img")
        sizes |= {(image.size["width"], image.size["height"]) for image in images}
        if fits:  # always B, by key
            rater.press(str(rater.runs.index(B) + 1))
        elif key["items"][item]["caption"] < 7:  # A, by mouse
            rater.click(A)
        else:
            rater.press("0")
        if step == 9:
            chrome.refresh()
    assert len(sizes) == 1, "images of 8 and of 16 pixels look alike"
    result = report(folder, tmp_path, rater.csv())
    realism, caption = (result["questions"][name] for name in ("realism", "caption"))
    assert [realism["first"][run]["share"] for run in (A, B)] == [pytest.approx(7 / 12), 0]
    assert realism["undecided"]["share"] == pytest.approx(5 / 12)
    assert caption["first"][B] == {**caption["first"][B], "share": 1, "n": 12}
    assert result["by_rater"]['Ann "O", 2']["agreement"]["share"] == 1
    assert result["unfinished"] == 0
    rater.find("download").click()
    file, end = downloads / "rating_Ann_O_2.csv", time.monotonic() + 10
    while not file.exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert file.read_bytes().decode().splitlines() == rater.csv().splitlines()
    assert rater.errors() == [] and rater.fetched() <= {"file", "data", "blob"}


def test_a_closed_tab_loses_nothing_and_answers_can_be_changed(chrome, tmp_path):
    folder, key = made(tmp_path, [A, B], seed=4)
    rater = Rater(chrome, folder, key)
    rater.begin("bob")
    for _ in range(3):
        rater.click(A)
    old = chrome.current_window_handle
    chrome.switch_to.new_window("tab")
    new = chrome.current_window_handle
    chrome.switch_to.window(old)
    chrome.close()
    chrome.switch_to.window(new)
    rater = Rater(chrome, folder, key)
    assert rater.step == 3
    for _ in range(3):
        rater.press("\ue012")  # left
    assert rater.step == 0 and not rater.find("back").is_enabled()
    chosen = chrome.find_elements("css selector", "#images .chosen")
    assert [c.text for c in chosen] == [str(rater.runs.index(A) + 1)], "the answer is shown"
    rater.click(B)
    assert rater.step == 3, "on to the first that is open"
    rater.press("\ue012")
    rater.press("\ue014")  # right, over an answer; there is nothing to the right of an open one
    rater.press("\ue014")
    assert rater.step == 3
    rater.find("pause").click()
    assert rater.find("end_title").text == "23 of 26 questions are open"
    result = report(folder, tmp_path, rater.csv())
    assert result["by_rater"]["bob"]["answers"] == 3 and result["unfinished"] == 1
    first = result["questions"]["realism"]["first"]
    assert first[A] == {**first[A], "share": 0.5, "n": 2}
    rater.find("resume").click()
    assert rater.step == 3


def test_raters_share_a_browser_without_mixing(chrome, tmp_path):
    folder, key = made(tmp_path, [A, B], CAPTIONS[:3])
    rater = Rater(chrome, folder, key)
    rater.begin("ann")
    rater.press("1")
    rater.find("pause").click()
    rater.find("other").click()
    rater.begin("bob")
    assert rater.step == 0
    rater.find("pause").click()
    assert rater.csv().split() == ["page,rater,item,question,choice,seconds"]
    rater.find("other").click()
    rater.begin("ann")
    assert rater.step == 1


def test_three_runs_are_ranked(chrome, tmp_path):
    folder, key = made(tmp_path, [A, B, C], CAPTIONS[:3])
    rater = Rater(chrome, folder, key)
    rater.begin("ann")
    assert rater.find("question").text.endswith("from the best to the worst.")
    rater.click(C)
    rater.click(B)  # the last is known by then
    rater.click(A)
    rater.click(A)  # chosen already: nothing
    badges = chrome.find_elements("css selector", "#images .rank:not([hidden])")
    assert rater.step == 1 and [badge.text for badge in badges] == ["1st"]
    rater.press("\ue012")  # takes the choice back
    assert rater.step == 1 and not chrome.find_elements("css selector", "#images .chosen")
    rater.press(str(rater.runs.index(B) + 1))
    rater.press("0")  # the others are equal
    rater.find("pause").click()
    questions = report(folder, tmp_path, rater.csv())["questions"]
    means = [
        [questions[name]["mean_rank"][run]["mean"] for run in (A, B, C)]
        for name in ("realism", "caption")
    ]
    assert means == [[3, 2, 1], [2.5, 1, 2.5]]
    assert rater.errors() == []


def test_the_time_of_an_answer(chrome, tmp_path):
    folder, key = made(tmp_path, [A, B], CAPTIONS[3:6])
    rater = Rater(chrome, folder, key)
    rater.begin("ann")
    time.sleep(0.5)
    rater.press("0")
    rater.press("0")
    rater.find("pause").click()
    first, second = (float(line.split(",")[-1]) for line in rater.csv().splitlines()[1:])
    assert 0.5 <= first < 5 and second < 0.5


def test_a_browser_that_keeps_nothing_says_so(chrome, tmp_path):
    folder, key = made(tmp_path, [A, B], CAPTIONS[6:9])
    source = "Object.defineProperty(window, 'localStorage', {get() { throw new Error() }})"
    script = chrome.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": source})
    rater = Rater(chrome, folder, key)
    chrome.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)
    assert "does not keep answers" in rater.find("warning").text
    rater.begin("ann")
    rater.press("1")
    assert rater.step == 1 and not rater.errors()
    chrome.refresh()
    assert not rater.find("warning").is_displayed()
