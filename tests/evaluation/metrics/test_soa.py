"""Semantic object accuracy from files, and which captions it asks images of."""

import json
import pickle

import numpy as np
import pytest

from t2i_jax.evaluation.metrics import soa_captions
from t2i_jax.evaluation.metrics.coco_classes import IDS, NAMES, mentioned
from t2i_jax.evaluation.metrics.soa import aggregate, read_detections, read_targets, soa


def test_aggregation_equals_the_golden_numbers(golden):
    images, detected = golden["soa.images_per_class"], golden["soa.detected_per_class"]
    found = aggregate(*(dict(zip(IDS, x.tolist(), strict=False)) for x in (images, detected)))
    assert found.by_class == pytest.approx(float(golden["soa.SOA_C"]), rel=1e-12)
    assert found.by_image == pytest.approx(float(golden["soa.SOA_I"]), rel=1e-12)
    assert (found.classes, found.images) == (8, images.sum())
    assert found.top_40 is None and found.bottom_40 is None


def test_top_and_bottom_are_the_classes_with_most_and_fewest_images():
    order = np.random.default_rng(0).permutation(80)
    images = {category: 10 * (int(n) + 1) for category, n in zip(IDS, order, strict=True)}
    detected = {c: n // 2 if n > 400 else n // 10 for c, n in images.items()}
    found = aggregate(images, detected)
    assert (found.top_40, found.bottom_40) == pytest.approx((0.5, 0.1))
    assert found.by_class == pytest.approx(0.3)
    # Classes without images count nowhere.
    images[IDS[0]] = detected[IDS[0]] = 0
    without = aggregate(images, detected)
    assert without.classes == 79 and IDS[0] not in without.shares and without.top_40 is None


@pytest.fixture
def written(tmp_path):
    def write(name, entries):
        path = tmp_path / name
        path.write_text(entries if isinstance(entries, str) else json.dumps(entries))
        return path

    return write


def box(image, category, score):
    return {"image_id": image, "category_id": category, "bbox": [0, 0, 9, 9], "score": score}


TARGETS = [
    {"image_id": 1, "category_id": 18, "caption": "a dog"},
    {"image_id": 2, "category_id": 18, "caption": "a dog and a cat"},
    {"image_id": 2, "category_id": 17, "caption": "a dog and a cat"},
    {"image_id": 3, "category_id": 90, "caption": "a toothbrush"},
    {"image_id": 4, "category_id": 18, "caption": "a dog"},
]
DETECTIONS = [
    box(1, 18, 0.7),
    box(1, 18, 0.9),  # counts once
    box(2, 18, 0.49),  # too unsure
    box(2, 17, 1),
    box(3, 18, 0.9),  # not what was asked for
    box(4, 18, 0.5),  # just enough
]


def test_an_image_counts_where_its_own_class_is_found(written):
    targets = read_targets(written("t.json", TARGETS))
    found = soa(targets, read_detections(written("d.json", DETECTIONS)))
    assert found.shares == {18: pytest.approx(2 / 3), 17: 1.0, 90: 0.0}
    assert found.by_class == pytest.approx(5 / 9) and found.by_image == pytest.approx(3 / 5)
    assert (found.classes, found.images) == (3, 5)
    assert soa(targets, []).by_class == 0


@pytest.mark.parametrize(
    "entry, message",
    [
        (box(None, 18, 0.5), "d.json: entry 1: image_id=None"),
        (box(1, 12, 0.5), "d.json: entry 1: category_id=12 is none of COCO's 80"),
        (box(1, "dog", 0.5), "category_id='dog'"),
        (box(1, [18], 0.5), r"category_id=\[18\]"),
        (box(1, 18, 51), "score=51 is no number from 0 to 1"),
        (box(1, 18, float("nan")), "score=nan"),
        (box(1, 18, "0.5"), "score='0.5'"),
        ({"image_id": 1, "category_id": 18}, "score=None"),
        (7, "d.json: entry 1 is no object"),
    ],
)
def test_a_wrong_entry_is_named(written, entry, message):
    with pytest.raises(ValueError, match=message):
        read_detections(written("d.json", [DETECTIONS[0], entry]))


def test_wrong_files_are_named(written, tmp_path):
    with pytest.raises(ValueError, match="d.json: not a JSON file"):
        read_detections(written("d.json", "[{"))
    with pytest.raises(ValueError, match="d.json: a list of objects is needed, not a dict"):
        read_detections(written("d.json", {"annotations": []}))
    with pytest.raises(OSError, match="none.json"):
        read_targets(tmp_path / "none.json")


def test_targets_and_detections_that_do_not_fit_are_told(written):
    targets = read_targets(written("t.json", TARGETS))
    with pytest.raises(ValueError, match="is given twice"):
        soa(targets + targets[:1], [])
    with pytest.raises(ValueError, match="no targets"):
        soa([], [])
    other = read_detections(written("d.json", [box("1", 18, 0.5)]))
    with pytest.raises(ValueError, match="detection 0 lies in image '1', which no target names"):
        soa(targets, other)


# --- captions ------------------------------------------------------------------------------------


def test_the_classes_are_cocos():
    assert len(IDS) == 80 and list(IDS) == sorted(IDS) and set(NAMES) == set(IDS)
    assert set(range(1, 91)) - set(IDS) == {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}
    # Numbers of Darknet's list: person, teddy bear, toothbrush.
    assert (NAMES[IDS[0]], NAMES[IDS[77]], NAMES[IDS[79]]) == ("person", "teddy bear", "toothbrush")


@pytest.mark.parametrize(
    "caption, names",
    [
        ("A dog chases two Cats.", ["cat", "dog"]),
        ("a hot dog and a teddy bear", ["hot dog", "teddy bear"]),
        ("a bear beside teddy  bears", ["bear", "teddy bear"]),
        ("buses, sheep, knives, people, mice, benches", [
            "person", "bus", "bench", "sheep", "knife", "mouse",
        ]),
        ("wine-glasses on a dining table", ["wine glass", "dining table"]),
        ("carpets, a category and a birdhouse", []),
        ("a man on a bike", []),
        ("", []),
    ],
)  # fmt: skip
def test_mentioned_by_hand(caption, names):
    assert [NAMES[i] for i in mentioned(caption)] == names


def test_captions_by_names():
    found = soa_captions.by_names(["a cat", "a cat and a dog", "nothing"])
    assert found[17] == ["a cat", "a cat and a dog"] and found[18] == ["a cat and a dog"]
    assert list(found) == list(IDS) and sum(map(len, found.values())) == 3


@pytest.fixture
def release(tmp_path):
    """Its 80 files in little; protocol 2 as Python 2 wrote them."""
    for n, category in enumerate(IDS):
        name = NAMES[category].replace(" ", "")
        entries = [
            {"image_id": 7, "id": 8, "idx": [n, i], "caption": f"{name} {i}"} for i in range(2)
        ]
        (tmp_path / f"label_{n:02}_{name}.pkl").write_bytes(pickle.dumps(entries, 2))
    (tmp_path / "README.md").write_text("more")
    return tmp_path


def test_published_captions_are_read(release):
    captions = soa_captions.published(release)
    assert list(captions) == list(IDS)
    assert captions[90] == ["toothbrush 0", "toothbrush 1"] and captions[1][0] == "person 0"


def test_a_release_that_is_not_whole_is_told(release):
    path = release / "label_16_dog.pkl"
    path.write_bytes(pickle.dumps([{"caption": "a dog"}, {"text": "a dog"}], 2))
    with pytest.raises(ValueError, match="label_16_dog.pkl: entry 1 has no caption"):
        soa_captions.published(release)
    path.write_bytes(pickle.dumps({}, 2))
    with pytest.raises(ValueError, match="label_16_dog.pkl: a list of captions"):
        soa_captions.published(release)
    path.write_bytes(b"\x80\x02cos\nsystem\n.")
    with pytest.raises(ValueError, match="os.system"):
        soa_captions.published(release)
    path.unlink()
    with pytest.raises(ValueError, match=r"label_16_\*.pkl lacks"):
        soa_captions.published(release)
    with pytest.raises(OSError):
        soa_captions.published(release / "none")


def test_requests_are_three_of_a_caption_and_one_of_a_person(monkeypatch):
    captions = {1: [f"person {i}" for i in range(50)], 18: ["a dog", "two dogs"]}
    asked = soa_captions.requests(captions, seed=0)
    assert asked[:50] == [(1, text) for text in captions[1]]
    assert asked[50:] == [(18, "a dog")] * 3 + [(18, "two dogs")] * 3
    monkeypatch.setattr(soa_captions, "_PERSONS", 20)
    drawn = [text for category, text in soa_captions.requests(captions, 0) if category == 1]
    assert len(set(drawn)) == 20 and drawn == sorted(drawn, key=captions[1].index)
    assert drawn != [text for _, text in soa_captions.requests(captions, 1)[:20]]
