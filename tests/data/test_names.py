"""Data sets of other people's modules: prepared and opened by the module's name, mistakes named."""

import itertools
import pathlib
import re
import sys

import pytest

from t2i_jax.commands import prepare
from t2i_jax.data import catalog
from t2i_jax.data.report import DataError

from . import disk_sources
from .disk_sources import write

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs" / "data.md"
GENERATED = """
from t2i_jax.data.builders.base import Builder, Config
from t2i_jax.data.records import Layout, Raw, Split


class {name}(Builder):
    BUILDER_CONFIGS = [Config.make(kind="small"), Config.make(kind="full")]

    def layout(self, job):
        count = {{"small": 2, "full": 3}}[self.builder_config.kind]
        raws = [
            Raw(id=str(i), filename=f"{{i}}.png", image={image!r}, captions=["one bird"])
            for i in range(count)
        ]
        return Layout({{"train": Split(raws, count)}})
"""
_number = itertools.count()


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """lab(files) writes a package of modules that can be imported, and returns its name."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def make(**files: str) -> str:
        name = f"lab{next(_number)}"
        write(tmp_path / name / "__init__.py", "")
        for module, text in files.items():
            write(tmp_path / name / f"{module}.py", text)
        return name

    yield make
    for name in set(sys.modules) - before:
        if name.startswith("lab"):
            del sys.modules[name]


def generated(name: str) -> str:
    return GENERATED.format(name=name, image=disk_sources.jpeg(form="PNG"))


def test_the_builder_of_the_docs_works_as_they_say(lab, tmp_path, capsys):
    (example,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    # tfds knows one builder of a name in a process, and test_extending has that of the docs.
    name = f"{lab(my_birds=example.replace('MyBirds', 'DocsBirds'))}.my_birds"
    data = str(tmp_path / "data")
    with pytest.raises(catalog.NotPrepared, match=f"--dataset={name} --source=DIR --data_dir"):
        catalog.open_split(name, data, "train")
    with pytest.raises(catalog.MissingSource, match=r"photos/ and birds\.tsv"):
        catalog.prepare(name, None, data)

    for i in range(2):
        write(tmp_path / f"src/photos/{i}.jpg", disk_sources.jpeg(seed=i))
    write(tmp_path / "src/birds.tsv", "1.jpg\ta red bird\n0.jpg\ta blue bird\n2.jpg\tno file\n")
    arguments = [f"--dataset={name}", f"--source={tmp_path / 'src'}", f"--data_dir={data}"]
    assert prepare.main([*arguments, "--max_side=16"]) == 0
    output = capsys.readouterr()
    assert output.out == f"prepared {data}/docs_birds/side16/1.0.0\n"
    assert "image file missing" in output.err
    for spelling in (name, f"{name}:DocsBirds", f"{name}/side16"):
        records = catalog.open_split(spelling, data, "train")
        assert [records[i]["captions"] for i in range(2)] == [["a red bird"], ["a blue bird"]]
        assert records.info["config"] == "side16" and len(records) == 2
    with pytest.raises(catalog.NotPrepared, match=f"{name}/default is not.*prepared are: side16"):
        catalog.open_split(f"{name}/default", data, "train")
    assert prepare.main(arguments) == 0
    with pytest.raises(DataError, match=rf"--data.name\): {name}/default, {name}/side16"):
        catalog.open_split(name, data, "train")


def test_kinds_are_those_of_the_builder_s_configs(lab, tmp_path):
    name = f"{lab(drawn=generated('DrawnBirds'))}.drawn"
    data = str(tmp_path / "data")
    with pytest.raises(catalog.NotPrepared, match=f"--dataset={name} --data_dir"):
        catalog.open_split(name, data, "train")
    assert catalog.prepare(name, None, data).records == {"train": 2}
    assert catalog.prepare(name, None, data, split_kind="full").records == {"train": 3}
    assert len(catalog.open_split(f"{name}/full", data, "train")) == 3
    with pytest.raises(DataError, match=r"no splits of kind 'half'; it has: small, full"):
        catalog.prepare(name, None, data, split_kind="half")


def test_mistakes_in_names_of_modules_are_named(lab):
    package = lab(
        empty="from t2i_jax.data.builders.cub import T2iCub\n",
        two=generated("FirstBirds") + generated("SecondBirds"),
        needy="import no_such_library\n",
    )
    for name, message in (
        ("no_such_lab.birds", r"cannot be imported \(No module named 'no_such_lab'\).*PYTHONPATH"),
        (f"{package}.bird", f"No module named '{package}.bird'"),
        (f"{package}.needy", "No module named 'no_such_library'.*must be installed"),
        (f"{package}.empty", f"{package}.empty has no builder,"),
        (f"{package}.empty:Cub", f"{package}.empty has no builder Cub"),
        (f"{package}.two", f"name one of: {package}.two:FirstBirds, {package}.two:SecondBirds"),
        (f"{package}..two", "unknown data set.*named like mylab.my_birds"),
    ):
        with pytest.raises(DataError, match=message):
            catalog.open_split(name, "nowhere", "train")
    for name in (f"{package}.two:SecondBirds", f"{package}.empty:T2iCub"):
        with pytest.raises(catalog.NotPrepared):
            catalog.open_split(name, "nowhere", "train")
