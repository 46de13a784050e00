"""Config files: which file a path or a name means, and what is said where it means none."""

import pathlib

import pytest

from t2i_jax import config as configs
from t2i_jax import config_files
from t2i_jax.sweeps import entries, space, state
from t2i_jax.sweeps.points import Sweep

ROOT = pathlib.Path(__file__).resolve().parent.parent


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """An empty folder, which is the working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_config_and_grid_has_a_name(elsewhere):
    """From any folder, and it is the file in the repository."""
    for folder in ("", config_files.GRIDS):
        files = {path.stem: path for path in (ROOT / "configs" / folder).glob("*.py")}
        assert len(files) > 5
        assert config_files.packaged(folder) == files
    named, file = configs.load("dm_gan:cub"), configs.load(f"{ROOT}/configs/dm_gan.py:cub")
    assert named.to_dict() == file.to_dict()
    assert configs.load("gan_int_cls").data.name == "toy_birds"
    grid = entries.load(f"{ROOT}/configs/ablations/regularizers.py:one_head")
    assert entries.load("regularizers:one_head") == grid


def test_a_file_of_the_users_goes_by_its_path(elsewhere):
    """Also where a packaged one has its name."""
    (elsewhere / "gan_int_cls.py").write_text(
        "from t2i_jax import config\n\n\ndef get_config(arg=''):\n"
        "    made = config.load('gan_int_cls:debug')\n    made.seed = 7\n    return made\n"
    )
    assert configs.load("gan_int_cls.py:cub").seed == 7
    assert configs.load("./gan_int_cls.py").seed == 7
    assert configs.load("gan_int_cls:cub").seed == 0


@pytest.mark.parametrize(
    ("load", "spec", "said"),
    [
        (configs.load, "gan_int_clss:cub", "no config named 'gan_int_clss'; .* 'gan_int_cls'?"),
        (configs.load, "birdz", r"no config named 'birdz'; did you mean 'birds\.py'\?"),
        (configs.load, "birdz.py", r"no config file 'birdz\.py'; did you mean 'birds\.py'\?"),
        (configs.load, "atn_gan", r"did you mean 'attn_gan2\.py' or 'attn_gan'\?"),
        (configs.load, "configs/dm_gan.py:cub", r"'configs/dm_gan\.py'; did you mean 'dm_gan'\?"),
        (configs.load, "q", "named are attn_gan, .*, xmc_gan; .* a path that ends in .py"),
        (entries.load, "gan_int_cls", "did you mean 'gan_int_cls_losses'"),
        (
            entries.load,
            "df_gan_penalties",
            "no grid named 'df_gan_penalties'; did you mean 'df_gan_penalty'",
        ),
        (space.load, "ablations/df_gan_penalty.py", "did you mean 'df_gan_penalty'"),
    ],
)
def test_what_is_neither_is_answered_with_the_nearest_of_both(elsewhere, load, spec, said):
    for name in ("birds", "attn_gan2"):
        (elsewhere / f"{name}.py").write_text("")
    with pytest.raises(FileNotFoundError, match=said) as error:
        load(spec)
    assert "\n" not in str(error.value)


def test_a_wrong_argument_of_ours_is_told_without_the_place_of_its_file(elsewhere):
    """Which the user has not seen; of a file of the user's, place and line are told."""
    for name in ("gan_int_cls", "damsm"):
        with pytest.raises(ValueError, match="did you mean 'folder'. known: ") as error:
            configs.load(f"{name}:foldr")
        assert str(error.value).startswith(f"{name}: no 'foldr'; ")
    (elsewhere / "own.py").write_text("def get_config(arg):\n    raise ValueError(f'no {arg}')\n")
    with pytest.raises(ValueError, match=r"^own\.py, line 2: no x"):
        configs.load("own.py:x")


def test_a_sweep_goes_on_under_the_shorter_name(tmp_path):
    """What was begun by the files' paths; another argument is another sweep."""
    before = Sweep("configs/gan_int_cls.py:cub", "configs/ablations/x.py", tmp_path)
    state.State(before, tmp_path).begin([], {})
    state.check_same(tmp_path, Sweep("gan_int_cls:cub", "x", tmp_path))
    with pytest.raises(ValueError, match="holds the sweep of --config=configs/gan_int_cls.py:cub"):
        state.check_same(tmp_path, Sweep("gan_int_cls:coco", "x", tmp_path))
