"""Data are known by their content: what a table tells of two preparations."""

import pytest

from t2i_jax.data import catalog, content

from .disk_sources import jpeg, jsonl, write

ROWS = [
    {
        "image": f"{name}.png",
        "captions": [f"a {name}", "a thing"],
        "class": name,
        "box": [1, 2, 9, 9],
    }
    for name in ("ant", "bee", "cat", "dog")
]


def prepared(tmp_path, rows=ROWS, seeds=None, name="things"):
    """The training split of a folder with these rows; images by seed."""
    source = tmp_path / name
    for i, row in enumerate(ROWS):
        write(source / row["image"], jpeg(seed=(seeds or {}).get(i, i), form="PNG"))
    write(source / "captions.jsonl", jsonl(*rows))
    catalog.prepare("folder", str(source), str(tmp_path / "data"), overwrite=True)
    return catalog.open_split(f"folder/{name}", str(tmp_path / "data"), "train")


def changed(row: int, **fields):
    return [{**r, **fields} if i == row else r for i, r in enumerate(ROWS)]


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    return content.table(prepared(tmp_path_factory.mktemp("before")))


@pytest.mark.parametrize(
    "rows, seeds, lines",
    [
        (ROWS, None, []),
        # A corrected caption, one more, one less, the captions turned round.
        (changed(1, captions=["a Bee", "a thing"]), None, ["captions of 1 record changed: 'bee"]),
        (changed(2, captions=["a cat", "a thing", "x"]), None, ["captions of 1 record ch"]),
        (
            changed(3, captions=["a dog"]),
            None,
            ["the captions of 1 record changed: 'dog.png', ..."],
        ),
        (changed(0, captions=["a thing", "a ant"]), None, ["captions of 1 record changed: 'ant"]),
        # Images.
        (ROWS, {1: 77}, ["the image of 1 record changed: 'bee.png'"]),
        (ROWS, {0: 77, 3: 78}, ["the image of 2 records changed: 'ant.png'"]),
        # Boxes and classes.
        (changed(2, box=[1, 2, 9, 8]), None, ["the class, box or another field of 1 record ch"]),
        (changed(2, **{"class": "ant"}), None, ["the class, box or another field of 2 records"]),
        (changed(3, **{"class": None}), None, ["or another field of 1 record changed: 'dog.png'"]),
        # Records.
        (ROWS[:-1], None, ["1 record removed"]),
        (ROWS[1:], None, ["1 record removed", "or another field of 3 records"]),  # classes, too
        (changed(3, split="test"), None, ["1 record removed"]),
        # Order.
        (ROWS[::-1], None, ["the order of the records changed"]),
        ([*ROWS[2:], *ROWS[:2]], None, ["the order of the records changed"]),
        (
            [*changed(1, captions=["new"])[:3][::-1]],
            {0: 99},
            ["1 record removed", "the image of 1 rec", "the captions of 1 rec", "the order"],
        ),
    ],
)
def test_what_became_of_the_records(before, tmp_path, rows, seeds, lines):
    split = prepared(tmp_path, rows, seeds)
    now = content.table(split)
    found = content.differences(before, now, lambda i: split[i]["image/id"])
    assert len(found) == len(lines)
    assert all(wanted in line for wanted, line in zip(lines, found, strict=True)), found
    assert (content.digest(now) == content.digest(before)) == (not lines)


def test_added_records_are_named(before, tmp_path):
    small = content.table(prepared(tmp_path, [ROWS[0], ROWS[2]]))
    split = prepared(tmp_path)
    back = content.differences(small, content.table(split), lambda i: split[i]["image/id"])
    assert back[0] == "2 records added, such as 'bee.png'"


def test_the_table_is_kept_and_made_again_where_it_is_damaged(tmp_path):
    split = prepared(tmp_path)
    (path,) = (tmp_path / "data/t2i_folder/things/1.0.0").glob("content-*")
    table, data = content.table(split), path.read_bytes()
    assert path.name == f"content-train-{content.digest(table)}.bin" and len(data) == 4 * 32
    path.write_bytes(b"")
    assert (content.table(split) == table).all() and path.read_bytes() == data
    for damaged in (data[:-32], data[:50], data + b"x" * 32, b"y" + data[1:], data[::-1]):
        path.write_bytes(damaged)
        assert (content.table(split) == table).all()
        assert path.read_bytes() == data
    path.unlink()  # a set that is older than tables
    assert (content.table(split) == table).all() and path.read_bytes() == data


def test_other_features_count(tmp_path):
    for seed in (0, 1):
        catalog.prepare("toy_birds", None, str(tmp_path), num_images=3, size=8, seed=seed)
    one, other = (
        content.table(catalog.open_split(f"toy_birds/8px_3_seed{seed}", str(tmp_path), "train"))
        for seed in (0, 1)
    )
    assert (one[:, 0] == other[:, 0]).all() and (one[:, 1:] != other[:, 1:]).all()
