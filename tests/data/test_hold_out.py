"""The test split of a set that has none."""

import pytest

from t2i_jax.data import catalog, hold_out
from t2i_jax.data.records import Layout, Raw, Split
from t2i_jax.data.report import DataError

from . import own_photos
from .disk_sources import jsonl, write


def layout(count, **splits):
    raws = [Raw(str(i), f"{i}.jpg", str(i).encode(), ["x"]) for i in range(count)]
    return Layout({"train": Split(raws, count), **splits})


def sides(made):
    return {split: {raw.image for raw in s.items} for split, s in made.splits.items()}


def held_out(count, share=hold_out.SHARE):
    made = layout(count)
    hold_out.hold_out(made, share)
    assert all(split.total == len(split.items) for split in made.splits.values())
    return sides(made)


def test_an_image_stays_on_its_side_as_others_are_added():
    small, large = held_out(300), held_out(5000)
    assert small["test"] <= large["test"] and small["train"] <= large["train"]
    assert not large["test"] & large["train"] and sum(map(len, large.values())) == 5000
    assert 430 <= len(large["test"]) <= 570  # three standard deviations around a tenth
    assert large["test"] <= held_out(5000, 0.3)["test"]


def test_copies_of_an_image_are_on_one_side():
    made = layout(200)
    made.splits["train"].items += [Raw(f"copy{i}", "x", str(i).encode(), ["x"]) for i in range(200)]
    hold_out.hold_out(made, 0.3)
    found = sides(made)
    assert not found["train"] & found["test"] and made.splits["test"].total % 2 == 0


def test_few_images_are_held_out_and_none_of_a_tiny_set():
    assert list(held_out(hold_out.LEAST - 1)) == ["train"]
    for count in range(hold_out.LEAST, 60):
        assert len(held_out(count, 0.001)["test"]) == 1
    made = layout(3)
    hold_out.hold_out(made, 0.1)
    assert made.told == ["no test split: 3 images are too few to hold some out (20 are needed)"]


def test_what_the_source_states_stays():
    for name in ("test", "val"):
        stated = Split([Raw("a", "a.jpg", b"a", ["x"])], 1)
        made = layout(100, **{name: stated})
        hold_out.hold_out(made, 0.2)
        assert made.splits["train"].total == 100 and made.splits[name] is stated
        assert made.notes == [f"test_share=0.2 has no use: the set has a split {name!r} of its own"]
    assert list(held_out(100, 0)) == ["train"]
    only = Layout({"rest": Split([], 0)})
    hold_out.hold_out(only, 0.1)
    assert list(only.splits) == ["rest"]


@pytest.mark.parametrize("share", [-0.1, 0.6, float("nan")])
def test_impossible_shares(share):
    with pytest.raises(DataError, match="test_share=.* must be from 0 to 0.5"):
        held_out(50, share)


def test_shares_are_options_of_a_preparation(tmp_path):
    own_photos.captions_list(tmp_path / "src", own_photos.photos(40))
    source, data = str(tmp_path / "src"), str(tmp_path / "data")
    report = catalog.prepare("folder", source, data)
    assert sum(report.records.values()) == 40 and report.records["test"] > 0
    assert f"{report.records['test']} of its 40 images are held out" in report.told[-1]
    assert "each with a chance of 10%" in report.told[-1]
    assert catalog.prepare("folder", source, data).already
    catalog.prepare("folder", source, data, max_side=8)
    with pytest.raises(DataError, match="several sets of folder; .* --data.name.: folder/src, fol"):
        catalog.full_name("folder", data)
    for share, name in ((0, "src_test0"), (0.5, "src_test50")):
        report = catalog.prepare("folder", source, data, test_share=share)
        assert report.config == name and ("test" in report.records) == bool(share)


def test_unreadable_images_have_a_side_too(tmp_path):
    rows = [{"image": f"{i}.jpg", "caption": "x"} for i in range(50)]
    for i in range(25):
        write(tmp_path / f"src/{i}.jpg", own_photos.photos(i + 1)[i].data)
    write(tmp_path / "src/captions.jsonl", jsonl(*rows))
    report = catalog.prepare("folder", str(tmp_path / "src"), str(tmp_path / "data"))
    assert sum(report.records.values()) == 25
    missing = [n for key, n in report.counts.items() if key[3] == "image file missing"]
    assert sum(missing) == 25
