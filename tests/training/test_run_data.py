"""A run knows its data by content: what is refused, what is said, and how it goes on."""

import re

import numpy as np
import pytest
from data.disk_sources import jpeg, jsonl, write
from train_commands import SPEC, metrics

from t2i_jax.commands import train
from t2i_jax.data import catalog
from t2i_jax.training import runs, sealed
from t2i_jax.training.run_data import FILE, RunData, full_names

CAPTIONS = [f"a bird of {i} colours" for i in range(10)]


class Birds:
    """A folder of images, and the set that is prepared from it."""

    def __init__(self, root):
        self.source, self.data_dir, self.workdir = root / "birds", root / "data", root / "run"
        self.prepare()

    def prepare(self, captions=CAPTIONS, seed=0, order=1, **options):
        rows = [
            {"image": f"{i}.png", "captions": [text], "class": i % 3}
            for i, text in enumerate(captions)
        ]
        for i, row in enumerate(rows):
            write(self.source / row["image"], jpeg(32, 32, seed=seed + i, form="PNG"))
        write(self.source / "captions.jsonl", jsonl(*rows[::order]))
        catalog.prepare("folder", str(self.source), str(self.data_dir), overwrite=True, **options)

    def open(self):
        return catalog.open_split("folder/birds", str(self.data_dir), "train")

    def train(self, steps, *arguments):
        places = [f"--workdir={self.workdir}", f"--data.data_dir={self.data_dir}"]
        fields = ["--data.name=folder", f"--train.duration={steps}", *arguments]
        train.main([f"--config={SPEC}", *places, *fields])


@pytest.fixture
def birds(tmp_path):
    return Birds(tmp_path)


CHANGES = {
    "the captions of 1 record changed: '3.png'": {"captions": [*CAPTIONS[:3], "x", *CAPTIONS[4:]]},
    "the captions of 10 records changed: '0.png'": {"captions": [f"{c} ." for c in CAPTIONS]},
    "the image of 10 records changed: '0.png'": {"seed": 50},
    "the order of the records changed": {"order": -1},
    "2 records added, such as '10.png'": {"captions": [*CAPTIONS, "one more", "two more"]},
    "1 record removed": {"captions": CAPTIONS[:9]},
}


@pytest.mark.parametrize("said", CHANGES)
def test_other_data_are_refused_with_what_changed(birds, said):
    birds.workdir.mkdir()
    RunData(birds.open(), None, "").write(birds.workdir)
    same = RunData(birds.open(), birds.workdir, "")
    assert same.known and not same.notes
    birds.prepare(**CHANGES[said])
    with pytest.raises(ValueError, match="was trained on other data") as error:
        RunData(birds.open(), birds.workdir, "")
    assert f"\n  {said}" in str(error.value)
    accepted = re.search(r"--train.accept_data=(\w+)$", str(error.value))[1]
    new = RunData(birds.open(), birds.workdir, accepted)
    assert new.known and said in new.notes[0]
    new.write(birds.workdir)
    assert not RunData(birds.open(), birds.workdir, "").notes
    birds.prepare()  # which nobody has accepted
    with pytest.raises(ValueError, match="was trained on other data"):
        RunData(birds.open(), birds.workdir, accepted)


def test_the_same_files_prepared_again_are_the_same_data(birds):
    birds.workdir.mkdir()
    RunData(birds.open(), None, "").write(birds.workdir)
    birds.prepare()
    assert not RunData(birds.open(), birds.workdir, "").notes


def test_a_run_that_is_older_than_its_file(birds):
    birds.workdir.mkdir()
    found = RunData(birds.open(), birds.workdir, "")
    assert not found.known and f"older than its {FILE}" in found.notes[0]


@pytest.mark.parametrize("damage", [lambda x: x[:50], lambda x: b"", lambda x: x.swapcase()])
def test_a_damaged_file_is_named(birds, damage):
    birds.workdir.mkdir()
    RunData(birds.open(), None, "").write(birds.workdir)
    path = birds.workdir / FILE
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=f"{path} is damaged"):
        RunData(birds.open(), birds.workdir, "")


@pytest.fixture(scope="module")
def two_sizes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toys")
    for size in (8, 12):
        catalog.prepare("toy_birds", None, str(folder), num_images=3, size=size)
    return str(folder)


SMALL, LARGE = "toy_birds/8px_3_seed0", "toy_birds/12px_3_seed0"


@pytest.mark.parametrize(
    "asked, saved, found",
    [
        ("toy_birds", SMALL, (SMALL, SMALL)),
        ("toy_birds", LARGE, (LARGE, LARGE)),
        (SMALL, SMALL, (SMALL, SMALL)),
        (SMALL, "toy_birds", (SMALL, SMALL)),  # of an older run
        (LARGE, SMALL, (LARGE, SMALL)),  # which is refused
        (LARGE, None, (LARGE, None)),
        (LARGE, "cub/disjoint", (LARGE, "cub/disjoint")),
        (LARGE, "cub", (LARGE, "cub")),
    ],
)
def test_a_second_size_beside_the_one_of_the_run(two_sizes, asked, saved, found):
    assert full_names(asked, saved, two_sizes) == found


@pytest.mark.parametrize("saved", [None, "cub", "toy_birds_mixed/8px_3_seed0"])
def test_a_name_of_several_sets_is_refused(two_sizes, saved):
    with pytest.raises(ValueError, match=rf"--data\.name\): {LARGE}, {SMALL}"):
        full_names("toy_birds", saved, two_sizes)


def test_a_set_of_the_run_that_is_gone_is_not_replaced_by_another(two_sizes):
    with pytest.raises(FileNotFoundError, match="toy_birds/96px_3_seed0 is not prepared"):
        full_names("toy_birds", "toy_birds/96px_3_seed0", two_sizes)


def test_a_training_goes_on_with_other_data_when_it_is_told_to(birds, one_device, capsys):
    birds.train(2)
    assert runs.read_config(birds.workdir).data.name == "folder/birds"
    first = np.load(next((birds.workdir / "cache/process0").iterdir()))
    before = capsys.readouterr().err

    # Another folder is prepared beside it; the same command still means its own.
    other = birds.source.parent / "others"
    birds.source.rename(other)
    catalog.prepare("folder", str(other), str(birds.data_dir))
    birds.prepare(captions=[*CAPTIONS[:9], "a green bird", "one more"])
    with pytest.raises(SystemExit) as error:
        birds.train(3)
    printed = capsys.readouterr().err
    assert error.value.code == 2 and "1 record added, such as '10.png'" in printed
    assert "the captions of 1 record changed: '9.png'" in printed
    assert sealed.read(birds.workdir / FILE)["records"] == 10
    option = re.search(r"--train.accept_data=\w+", printed)[0]
    birds.train(3, option)
    printed = capsys.readouterr().err
    assert "going on with other data" in printed and "resumed from step 2" in printed
    assert sealed.read(birds.workdir / FILE)["records"] == 11
    assert list(metrics(birds.workdir)) == [1, 2, 3] and "going on" not in before
    (path,) = (birds.workdir / "cache/process0").iterdir()
    now = np.load(path)
    assert len(now) == 11 and (now[:9] == first[:9]).all() and (now[9] != first[9]).any()
