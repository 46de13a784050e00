"""What a sweep file may give, and that all else is one line."""

import itertools

import pytest

from t2i_jax.sweeps import entries
from t2i_jax.sweeps.entries import Entry
from t2i_jax.sweeps.grids import product, together
from t2i_jax.sweeps.points import Sweep, seeds_of


@pytest.fixture
def load(tmp_path):
    """Entries of a sweep file with this body of ``sweep()``."""

    def made(body: str, head: str = ""):
        (tmp_path / "s.py").write_text(f"{head}\ndef sweep():\n    {body}\n")
        return entries.load(str(tmp_path / "s.py"))

    return made


SUB_SWEEPS = """return {
        "losses": [{"name": "base"}, {"name": "kl", "loss.g.kl": 1.0}],
        "rates": (dict(e, config="configs/x.py:cub") for e in [{"name": "slow", "optim.g.lr": 1}]),
        "sizes": [{"name": "base"}, {"name": "large", "data.size": 128}],
    }"""


def test_named_sub_sweeps_and_an_entry_of_two(load):
    found = load(SUB_SWEEPS)
    assert found == [
        Entry("base", {}, "", ("losses", "sizes")),
        Entry("kl", {"loss.g.kl": 1.0}, "", ("losses",)),
        Entry("slow", {"optim.g.lr": 1}, "configs/x.py:cub", ("rates",)),
        Entry("large", {"data.size": 128}, "", ("sizes",)),
    ]

    def names(*only):
        return [entry.name for entry in entries.choose(found, only)]

    assert names("sizes") == ["base", "large"]
    assert names("large", "losses") == ["base", "kl", "large"]
    with pytest.raises(ValueError, match="--only=size: .*did you mean 'sizes'"):
        names("size")
    with pytest.raises(ValueError, match="--only=: there is no such entry"):
        names("")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return [1, 2]", "gives no dicts of overrides"),
        ("return [{'d_steps': 2}]", "entry 0 .* has no name"),
        ("return [{'name': 'a'}, {'name': 'a'}]", "two entries .* named 'a'"),
        ("yield {'name': 'a'}\n    1 / 0", "s.py, line 4: ZeroDivisionError"),
        ("return {'x': (1 / 0 for _ in 'a')}", "s.py, line 3: ZeroDivisionError"),
        ("return 5", "s.py gives 5, which is no list of entries"),
        ("pass", "s.py gives None, which is no list of entries"),
        ("return {'x': None}", "s.py, in 'x', gives None, which is no list"),
        ("return [{'name': 'a.log'}]", "an entry is named 'a.log', as logs are"),
        ("return product({'d_steps': 3})", r"'d_steps' has 3 in place of .*: write \(3,\)"),
        ("return product({'x.noise': 'normal'})", "'x.noise' has 'normal' in place of a list"),
        ("return product({'a': (1,)}, {'d_steps': ()})", "product.*: 'd_steps' has no values"),
        ("return product(3)", "product.* of 3: name fields"),
        ("return product(['a'])", "'a' is no entry"),
        ("return together({})", "together.* of no field"),
        ("return together({'a': 3, 'b': (1,)})", "together.*: 'a' has 3 in place of a list"),
        ("return []", "gives no entry"),
        ("return {}", "gives no list of entries, nor sub-sweeps"),
        ("return {'name': 'a', 'loss.g.kl': 1}", "gives no list of entries, nor sub-sweeps"),
        ("return {'': [{'name': 'a'}]}", "a sub-sweep is named ''"),
        ("return {3: [{'name': 'a'}]}", "a sub-sweep is named 3"),
        ("return {'a': [{'name': 'a'}]}", "'a' is both an entry and a sub-sweep"),
        ("return [{'name': '../a'}]", "an entry is named '../a', which is to be a folder"),
        ("return [{'name': 'a,b'}]", "an entry is named 'a,b'"),
        ("return [{'name': 'a', 'seed': 3}]", "'a' sets the seed, which --seeds does"),
        ("return [{'name': 'a', 'config.seed': 3}]", "'a' sets the seed, which --seeds does"),
        ("return [{'name': 'a', 'x': 3, 'config.x': 4}]", "s.py: 'a': 'x' is set twice"),
        ("return [{'name': 'a', 'config': 3}]", "the config of 'a' is no config file: 3"),
        ("return [{'name': 'a', 'x': {'y': 1}}]", "'a' sets 'x': {'y': 1} is no value"),
        ("return [{'name': 'a', 5: 1}]", "'a' sets 5, which is no field's name"),
        (
            "return {'x': [{'name': 'a'}], 'y': [{'name': 'a', 'd_steps': 2}]}",
            "'a' of 'x' is another training than that of 'y'",
        ),
        ("return product({'a': (1,)}, [{'a': 2}])", "line 3: an entry without a name"),
        ("return product({'a': (1,)}, [{'name': 'b', 'a': 2}])", "two parts .* set 'a'"),
        ("return together({'a': (1, 2), 'b': (3,)})", "as many values of one field"),
    ],
)
def test_a_sweep_that_is_none_is_one_line(load, body, message):
    with pytest.raises(ValueError, match=message) as error:
        load(body, "from t2i_jax.sweeps.grids import product, together")
    assert "\n" not in str(error.value) and "s.py" in str(error.value)


def test_numbers_of_numpy_are_plain(load):
    values = "np.logspace(-4, -3, 2), (np.float32(0.5), np.int64(3)), np.arange(2)"
    (found,) = load(
        f"a, b, c = {values}; return [dict(name='x', a=a[1], b=b, c=c)]", "import numpy as np"
    )
    assert found.overrides == {"a": 1e-3, "b": (0.5, 3), "c": (0, 1)}
    kinds = [type(x) for x in itertools.chain.from_iterable(map(_flat, found.overrides.values()))]
    assert kinds == [float, float, int, int, int]


def _flat(value):
    return value if isinstance(value, tuple) else (value,)


def test_a_product_is_every_combination():
    rates, weights = (1e-4, 2e-4), (0.0, 1.5, 2.0)
    found = product({"optim.g.lr": rates, "loss.g.kl": weights})
    pairs = [(e["optim.g.lr"], e["loss.g.kl"]) for e in found]
    assert pairs == list(itertools.product(rates, weights))
    names = [entry["name"] for entry in found]
    assert names[:2] == ["lr=0.0001_kl=0", "lr=0.0001_kl=1.5"] and len(set(names)) == 6


def test_names_tell_fields_and_values_apart():
    two = product({"optim.g.lr": (1,), "optim.d.lr": (2,)})
    assert two == [{"name": "g.lr=1_d.lr=2", "optim.g.lr": 1, "optim.d.lr": 2}]
    values = (("color", "cutout"), (), "runs/a b", True, None, 0.1 + 0.2, "runs-a-b")
    names = [entry["name"] for entry in product({"x.y": values})]
    assert names[:2] == ["y=color-cutout-0", "y=none-1"] and len(set(names)) == len(values)
    assert names[5] == "y=0.30000000000000004-5"
    for name in names:
        entries._check_name(name, "s.py", "an entry")


def test_fields_that_move_together_inside_a_product():
    sizes = together(
        {"data.size": (64, 64, 128), "generator.scales": (1, 2, 2), "d_steps": (1, 1, 1)}
    )
    assert [e["name"] for e in sizes] == [
        "size=64_scales=1",
        "size=64_scales=2",
        "size=128_scales=2",
    ]
    assert sizes[1] == {
        "name": sizes[1]["name"],
        "data.size": 64,
        "generator.scales": 2,
        "d_steps": 1,
    }
    found = product([{"name": "base"}, {"name": "kl", "loss.g.kl": 1}], sizes)
    assert len(found) == 6 and found[4]["name"] == "kl_size=64_scales=2"
    assert found[4]["loss.g.kl"] == 1 and found[4]["generator.scales"] == 2


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("1", (0,)), ("3", (0, 1, 2)), ("0,3,7", (0, 3, 7)), ("7,", (7,)), ("0,", (0,))],
)
def test_seeds(text, seeds):
    assert seeds_of(text) == seeds


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "x", "1,x", "1,1", ",", "-1,2", "5000000000,", "1.5"]
)
def test_seeds_that_are_none(text):
    with pytest.raises(ValueError, match="--seeds="):
        seeds_of(text)


def test_the_command_of_a_point(tmp_path):
    """An entry's own config and values win; its seed's folder is written for {workdir}."""
    sweep = Sweep("configs/a.py:cub", "s.py", tmp_path, ("--x=1",), (), ("python", "-m", "t"))
    entry = Entry("n", {"frozen.stage1": "{workdir}/m:text", "sizes": (1, 2)}, "configs/b.py")
    point = sweep.point(entry, 4)
    assert sweep.training(point) == [
        *("python", "-m", "t", "--config=configs/b.py:cub", f"--workdir={tmp_path}/seed4/n"),
        *("--x=1", "--seed=4", f"--frozen.stage1={tmp_path}/seed4/m:text", "--sizes=(1, 2)"),
    ]
    assert point.needs == ("seed4/m",)
    assert sweep.point(Entry("n", {}, "configs/b.py:coco"), 0).config == "configs/b.py:coco"
    assert sweep.point(Entry("n", {}), 0).config == "configs/a.py:cub"
