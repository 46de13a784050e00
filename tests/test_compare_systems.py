"""The table of launch/compare_systems.py; the trainings themselves are the command line's."""

import importlib.util
import json
import pathlib
import statistics

from t2i_jax import config as configs
from t2i_jax.recipes.base import GanRecipe
from t2i_jax.training import modules

ROOT = pathlib.Path(__file__).resolve().parents[1]
SPEC = importlib.util.spec_from_file_location("compare", ROOT / "launch" / "compare_systems.py")
compare = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(compare)


def test_every_gan_of_the_library_is_compared():
    files = (ROOT / "configs").glob("*.py")
    recipes = {p.stem: modules.recipe_module(configs.load(str(p)).system).Recipe for p in files}
    gans = {name for name, recipe in recipes.items() if issubclass(recipe, GanRecipe)}
    assert gans == {name for names, _ in compare.SYSTEMS.values() for name in names}


def test_a_row_has_means_and_deviations_over_seeds(tmp_path):
    shares, jobs = {0: 0.91, 1: 0.84, 2: 0.95}, []
    for seed, share in shares.items():
        job = compare.Job("DF-GAN", seed, tmp_path / str(seed))
        job.folder.mkdir()
        attributes = {name: {"share": share} for name in compare.COLOURS if name != "beak"}
        found = {
            "attributes": attributes,
            "every_colour": {"share": share / 2},
            "diversity": {"mean_ratio": share, "nearest_ratio": 1.0},
        }
        job.result.write_text(json.dumps(found))
        (job.folder / "df_gan.json").write_text(json.dumps({"steps": 2000 + seed}))
        jobs.append(job)
    *_, row = compare.markdown(jobs).splitlines()
    name, body, wing, *_, beak, every, mean, nearest, steps = row.strip("| ").split(" | ")
    values = list(shares.values())
    spread = statistics.stdev(values)
    assert name == "DF-GAN" and steps == "2,001"
    assert body == wing == f"{100 * sum(values) / 3:.0f} ± {100 * spread:.0f}"
    assert every == f"{50 * sum(values) / 3:.0f} ± {50 * spread:.0f}"
    assert mean == f"{sum(values) / 3:.2f} ± {spread:.2f}" and nearest == "1.00 ± 0.00"
    assert beak == "-", "an attribute that the classifier could not read"
    *_, one = compare.markdown(jobs[:1]).splitlines()
    assert one.split(" | ")[1] == "91"
