"""A page says nothing of the runs; a report says what the raters chose."""

import json

import numpy as np
import pytest

from evaluation.rating.raters import CAPTIONS, LEVELS, draws, image, made, rows, shown, write
from t2i_jax.evaluation.rating import protocol

A, B, C = LEVELS


def report(folder, *files):
    return protocol.report(folder / protocol.KEY, files)


# --- the page ------------------------------------------------------------------------------------


def test_the_page_shows_what_the_key_says_and_names_no_run(tmp_path):
    folder, key = made(tmp_path, [A, B, C])
    page, text = shown(folder), (folder / protocol.PAGE).read_text()
    assert "secret" not in text and "made_from" not in text
    assert len(page["items"]) == len(key["items"]) == 13 and page["page"] == key["page"]
    assert key["made_from"] == {"steps": [1, 2]} and key["captions"] == CAPTIONS
    for item, entry in zip(page["items"], key["items"], strict=True):
        assert item["caption"] == CAPTIONS[entry["caption"]]
        for place, run in zip(item["images"], entry["runs"], strict=True):
            pixels = image(page["images"][place])
            assert pixels[0, 0].tolist() == [LEVELS[run], entry["caption"], LEVELS[run]]
    assert len(page["images"]) == 36, "what is shown twice is there once"
    assert [name for name, _ in page["questions"]] == key["questions"] == ["realism", "caption"]


def test_nothing_on_the_page_is_fetched(tmp_path):
    text = (made(tmp_path, [A, B])[0] / protocol.PAGE).read_text()
    assert "default-src 'none'" in text
    assert not [part for part in ("http:", "https:", 'src="', "@import", "url(") if part in text]


def test_the_order_of_images_tells_no_run(tmp_path):
    """The first image of the page's list is not always that of the same run."""
    (tmp_path / "many").mkdir()
    folder, _ = made(tmp_path / "many", [A, B], ["x"] * 60)
    first = [image(uri)[0, 0, 0] == LEVELS[A] for uri in shown(folder)["images"][::2]]
    assert 15 < sum(first) < 45


def test_the_digest_is_that_of_what_is_shown(tmp_path):
    digest = lambda **changed: json.loads(  # noqa: E731
        protocol.make(**{**same, **changed})[protocol.KEY]
    )["page"]
    same = dict(draws=draws([A, B]), captions=CAPTIONS, seed=0, describe={})
    assert digest() == digest() == digest(describe={"other": 1})
    other = {name: images + 1 for name, images in draws([A, B]).items()}
    changes = [dict(seed=1), dict(captions=["?", *CAPTIONS[1:]]), dict(draws=other)]
    assert len({digest(), *(digest(**change) for change in changes)}) == 4


def test_without_text_realism_alone_is_asked(tmp_path):
    folder, key = made(tmp_path, [A, B], None)
    assert key["questions"] == ["realism"] and key["captions"] is None
    result, _, _ = report(folder, write(tmp_path / "a.csv", rows(key, "ann", lambda *_: [A, B])))
    assert result["questions"]["realism"]["first"][A]["share"] == 1


def test_what_cannot_be_compared():
    with pytest.raises(ValueError, match="compares 2 to 9 runs, not 1"):
        protocol.make(draws([A]), CAPTIONS, 0, {})
    with pytest.raises(ValueError, match="an image of each run for each caption, not .*12"):
        protocol.make(draws([A, B]), CAPTIONS[:3], 0, {})
    with pytest.raises(ValueError, match="for each caption"):
        protocol.make(draws([A, B], 0), None, 0, {})


# --- the report ----------------------------------------------------------------------------------


def test_shares_of_two_runs(tmp_path):
    folder, key = made(tmp_path, [A, B])
    captions = [item["caption"] for item in key["items"]]

    def ann(number, question, runs):
        if question == "caption":
            return [B, A]
        return [A, B] if captions[number - 1] < 8 else None  # 8 of 12; 4 she cannot tell

    result, drawn, text = report(folder, write(tmp_path / "ann.csv", rows(key, "ann", ann)))
    realism, fits = result["questions"]["realism"], result["questions"]["caption"]
    assert realism["answers"] == 12, "what is shown again does not count twice"
    assert realism["first"][A]["share"] == pytest.approx(8 / 12) and realism["first"][B]["n"] == 12
    assert realism["first"][A]["interval"] == pytest.approx([0.3906, 0.8619], abs=1e-4)  # Wilson
    assert realism["first"][B]["share"] == 0 and realism["undecided"]["share"] == pytest.approx(
        1 / 3
    )
    assert realism["pairs"] == [
        {"run": A, "before": B, "share": 1.0, "interval": [pytest.approx(0.6756, abs=1e-4), 1.0]}
        | {"n": 8, "equal": 4}
    ]
    assert realism["mean_rank"][A]["mean"] == pytest.approx((8 * 1 + 4 * 1.5) / 12)
    assert fits["first"][B]["share"] == 1 and fits["mean_rank"][A]["interval"] == [2, 2]
    low, high = realism["first"][A]["resampled"]
    assert 0.3 < low < 8 / 12 < high < 1
    assert result["raters"] == 1 and result["unfinished"] == 0 and result["captions"] == 12
    assert result["by_rater"]["ann"]["answers"] == result["by_rater"]["ann"]["of"] == 26
    assert result["by_rater"]["ann"]["median_seconds"] == 2.5
    assert result["by_rater"]["ann"]["agreement"]["share"] == 1
    assert result["made_from"] == {"steps": [1, 2]} and json.dumps(result, allow_nan=False)
    assert drawn["rating"].width > drawn["rating"].height > 200
    assert "    66.7%  39.1% to 86.2%   " in text and f"{A} before {B}: 100.0% of 8" in text


def test_ranks_of_three_runs_and_two_raters(tmp_path):
    folder, key = made(tmp_path, [A, B, C])
    files = [
        write(tmp_path / "ann.csv", rows(key, "ann", lambda *_: [A, B, C])),
        write(tmp_path / "bob.csv", rows(key, 'bob, "b"', lambda *_: [B, A, C])[:-4]),
    ]
    result, _, text = report(folder, *files)
    first = result["questions"]["realism"]["first"]
    assert first[A]["share"] + first[B]["share"] == 1 and first[C]["share"] == 0
    bobs = sum(item["repeats"] is None for item in key["items"][:-2])
    assert first[A]["n"] == 12 + bobs and first[A]["share"] == pytest.approx(12 / (12 + bobs))
    ranks = result["questions"]["realism"]["mean_rank"]
    assert ranks[C] == {"mean": 3, "interval": [3, 3]}
    assert ranks[A]["interval"] == [1, 2], "two raters who differ: either may be drawn twice"
    pairs = {(p["run"], p["before"]): p["share"] for p in result["questions"]["caption"]["pairs"]}
    assert pairs[A, C] == pairs[B, C] == 1 and 0.4 < pairs[A, B] < 0.6
    assert result["raters"] == 2 and result["unfinished"] == 1
    assert result["by_rater"]['bob, "b"']["answers"] == 22 and "22 of 26 answers" in text


def test_a_rater_who_always_clicks_left_does_not_agree_with_herself(tmp_path):
    folder, key = made(tmp_path, [A, B], repeats=4)
    left = write(tmp_path / "a.csv", rows(key, "ann", lambda number, question, runs: runs))
    result, _, text = report(folder, left)
    assert result["by_rater"]["ann"]["agreement"] == {
        **{"share": 0, "n": 8},
        "interval": [0, pytest.approx(0.3244, abs=1e-4)],
    }
    assert "alike again: 0.0% of 8" in text


def test_equal_places(tmp_path):
    folder, key = made(tmp_path, [A, B, C])
    lines = rows(key, "ann", lambda *_: None)
    lines[0] = lines[0].replace("1=2=3", "3>1=2")
    result, _, _ = report(folder, write(tmp_path / "a.csv", lines))
    best = key["items"][0]["runs"][2]
    realism = result["questions"]["realism"]
    assert realism["first"][best]["share"] == pytest.approx(1 / 12)
    assert realism["mean_rank"][best]["mean"] == pytest.approx((1 + 11 * 2) / 12)
    others = [realism["mean_rank"][run]["mean"] for run in (A, B, C) if run != best]
    assert others == pytest.approx([(2.5 + 11 * 2) / 12] * 2)


def test_a_question_that_nobody_answered(tmp_path):
    folder, key = made(tmp_path, [A, B])
    lines = [line for line in rows(key, "ann", lambda *_: [A, B]) if ",realism," in line]
    result, _, text = report(folder, write(tmp_path / "a.csv", lines))
    assert result["questions"]["caption"]["first"][A]["share"] is None
    assert result["unfinished"] == 1 and json.dumps(result, allow_nan=False)
    assert "caption: 0 answers" in text


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong, right, message",
    [
        ("choice,seconds", "choice;seconds", "not a CSV of ratings: its first line is"),
        (",1,realism,", ",99,realism,", "line 2: item '99': the page has items 1 to 13"),
        (",1,realism,", ",0,realism,", "line 2: item '0'"),
        (",1,realism,", ",x,realism,", "line 2: item 'x'"),
        (",1,realism,", ",1,beauty,", "line 2: question 'beauty'"),
        ("1=2,2.5", "1=1,2.5", "line 2: choice '1=1': not an order of images 1 to 2"),
        ("1=2,2.5", "3,2.5", "line 2: choice '3'"),
        ("1=2,2.5", "1=2", "line 2: 5 fields, not 6"),
        ("1=2,2.5", "1=2,soon", "line 2: seconds 'soon'"),
        ("1=2,2.5", "1=2,nan", "line 2: seconds 'nan'"),
        ('"ann"', '" "', "line 2: no rater"),
        (",1,caption,", ",1,realism,", r"line 3: .*'ann' has answered 'realism' of item 1 already"),
    ],
)
def test_a_damaged_file_is_named_with_its_line(tmp_path, wrong, right, message):
    folder, key = made(tmp_path, [A, B])
    path = write(tmp_path / "a.csv", rows(key, "ann", lambda *_: None))
    path.write_text(path.read_text().replace(wrong, right, 1))
    with pytest.raises(ValueError, match=message) as raised:
        report(folder, path)
    assert str(raised.value).startswith(str(path)) and "\n" not in str(raised.value)


def test_answers_to_another_page_are_refused(tmp_path):
    folder, key = made(tmp_path, [A, B])
    other = {**key, "page": "0123456789abcdef"}
    path = write(tmp_path / "a.csv", rows(other, "ann", lambda *_: None))
    with pytest.raises(ValueError, match="a.csv, line 2: an answer to another page"):
        report(folder, path)


def test_one_rater_s_answers_count_once(tmp_path):
    folder, key = made(tmp_path, [A, B])
    first = write(tmp_path / "a.csv", rows(key, "ann", lambda *_: None)[:3])
    last = write(tmp_path / "b.csv", rows(key, "ann", lambda *_: None))
    with pytest.raises(
        ValueError, match=r"b.csv, line 2: .* already \(.*a.csv, line 2\): give only"
    ):
        report(folder, first, last)
    with pytest.raises(ValueError, match="no files of ratings"):
        report(folder)


def test_other_files_for_key_or_csv(tmp_path):
    folder, key = made(tmp_path, [A, B])
    (tmp_path / "x.csv").write_bytes(b"\xff\xfe1")
    with pytest.raises(ValueError, match="x.csv: not a CSV of ratings: it is no UTF-8"):
        report(folder, tmp_path / "x.csv")
    for content in (b"{}", b"[]", b"<html>", b"\xff"):
        (tmp_path / "key.json").write_bytes(content)
        with pytest.raises(ValueError, match="key.json: not the key of a rating page"):
            protocol.report(tmp_path / "key.json", [])
    excel = (
        b"\xef\xbb\xbf" + write(tmp_path / "a.csv", rows(key, "ann", lambda *_: None)).read_bytes()
    )
    (tmp_path / "excel.csv").write_bytes(excel)
    assert report(folder, tmp_path / "excel.csv")[0]["raters"] == 1
    assert np.isfinite(report(folder, tmp_path / "a.csv")[0]["by_rater"]["ann"]["median_seconds"])
