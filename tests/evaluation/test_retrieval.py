"""Recall of images and captions, and the checkpoint that it chooses in a training."""

import dataclasses
import json
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_runs import ROOT, random_like

from t2i_jax import types
from t2i_jax.commands import evaluate
from t2i_jax.data import catalog
from t2i_jax.data.prepared import captions_of
from t2i_jax.data.report import NoHeldOut
from t2i_jax.drawing.drawer import text_inputs
from t2i_jax.encoders.damsm import CompactImageEncoder, TextEncoder
from t2i_jax.evaluation import in_training
from t2i_jax.evaluation.extractors import registry
from t2i_jax.evaluation.extractors.base import EMBEDDING
from t2i_jax.evaluation.extractors.dual import load_dual
from t2i_jax.evaluation.held_out import HeldOut
from t2i_jax.evaluation.retrieval import Retrieval, places
from t2i_jax.recipes.terms import Seen
from t2i_jax.training import build, fields, loop, networks, runs
from t2i_jax.training.checkpoints import Checkpoints


def by_hand(queries, candidates, rank):
    """One query after the other, with ties as misses."""
    hits = 0
    for i, query in enumerate(queries.astype(float)):
        cosines = [
            query @ c / (np.linalg.norm(query) * np.linalg.norm(c))
            for c in candidates.astype(float)
        ]
        better = sum(c >= cosines[i] for j, c in enumerate(cosines) if j != i)
        hits += better < rank
    return hits / len(queries)


def recall(queries, candidates, ranks=(1, 5), pool=100):
    """The share of the queries whose own candidate is among the first k."""
    found, backwards = places(queries, candidates, pool=pool)
    again = places(candidates, queries, pool=pool)
    np.testing.assert_array_equal((found, backwards), again[::-1])
    return {k: float(np.mean(found <= k)) for k in ranks}


def test_recall_is_the_share_of_queries_whose_own_is_among_the_first():
    rng = np.random.default_rng(0)
    candidates = rng.normal(size=(60, 5)).astype(np.float32)
    queries = candidates + rng.normal(size=(60, 5)).astype(np.float32)
    found = recall(queries, 7 * candidates, ranks=(1, 5, 60))
    assert 0.1 < found[1] < found[5] < found[60] == 1
    for rank in (1, 5):
        assert found[rank] == pytest.approx(by_hand(queries, candidates, rank))
    assert recall(candidates, candidates) == {1: 1.0, 5: 1.0}
    assert recall(candidates, -candidates)[1] == 0.0


def test_chance_in_pools_is_rank_over_pool():
    rng = np.random.default_rng(1)
    queries, candidates = rng.normal(size=(2, 20_000, 8)).astype(np.float32)
    found = recall(queries, candidates, pool=50)
    assert found[1] == pytest.approx(1 / 50, rel=0.2) and found[5] == pytest.approx(0.1, rel=0.1)


def test_rows_are_compared_in_pools_in_their_order():
    """Two rows of each pool of five have changed places; a rest of less than a pool is left out."""
    vectors = np.eye(11, dtype=np.float32)
    mixed = vectors[[1, 0, 2, 3, 4, 6, 5, 7, 8, 9, 10]]
    assert recall(vectors, mixed, ranks=(1,), pool=5) == {1: 0.6}
    across = vectors[[5, 1, 2, 3, 4, 0, 6, 7, 8, 9, 10]]
    assert recall(vectors, across, ranks=(1,), pool=5) == {1: 0.8}
    assert recall(vectors, across, ranks=(1,), pool=100) == {1: pytest.approx(9 / 11)}


def test_surprise_ties_are_misses():
    """An encoder that has collapsed finds nothing, whichever way its products are rounded."""
    rng = np.random.default_rng(2)
    same = np.tile(rng.normal(size=(1, 256)).astype(np.float32), (100, 1))
    assert recall(same, same) == {1: 0.0, 5: 0.0}
    nothing = np.zeros((10, 4), np.float32)
    assert recall(nothing, nothing) == {1: 0.0, 5: 0.0}
    pairs = np.repeat(np.eye(10, dtype=np.float32), 2, axis=0)
    assert recall(pairs, pairs) == {1: 0.0, 5: 1.0}


def test_vectors_that_cannot_be_compared_are_refused():
    good = np.ones((10, 3), np.float32)
    for bad in (np.nan, np.inf):
        broken = good.copy()
        broken[4, 1] = bad
        for pair in ((good, broken), (broken, good)):
            with pytest.raises(ValueError, match="a vector is NaN or infinite"):
                recall(*pair)
    with pytest.raises(ValueError, match="retrieval at 5 needs as many rows, not 4"):
        recall(good[:4], good[:4])


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    catalog.prepare("toy_birds", None, folder, num_images=200, size=32)
    return str(folder)


def resolved(data_dir, file="damsm", **changes):
    changes = {"data.data_dir": data_dir, **changes}
    return fields.resolve(f"{ROOT}/configs/{file}.py:debug", changes).config


@pytest.fixture(scope="module")
def training(data_dir, tmp_path_factory):
    """Two steps, of which the first is told to be the better one: (run, [(averages, the same with
    larger weights, what retrieval finds of these)]).
    """
    workdir, found = tmp_path_factory.mktemp("runs") / "damsm", []

    def make(system, options):
        (evaluate,) = in_training.evaluators(system, options).values()
        told = iter((0.5, 0.25))

        def both(averages):
            averages = jax.device_get(averages)
            # After two steps all captions have nearly the same vector, and rounding decides.
            large = {**averages, "params": jax.tree.map(lambda x: 6 * x, averages["params"])}
            found.append((averages, large, evaluate(large)))
            return {**found[-1][2], "recall_at_1": next(told)}

        return {"retrieval": both}

    changes = {"evals.names": ("retrieval",), "evals.records": 10, "train.keep": 1}
    config = resolved(data_dir, **changes, **{"evals.best": "retrieval/recall_at_1"})
    loop.train(config, workdir, make)
    return workdir, found


def test_the_codes_of_images_are_features(training, data_dir):
    """Those of the checkpoint that the training chose: the first, not the last."""
    workdir, found = training
    extractor = registry.load(workdir)
    assert "step 1," in extractor.description
    images = HeldOut(build.data_options(runs.read_config(workdir))).images(3)
    averages = found[0][0]
    variables = {
        "params": averages["params"]["net"]["image"],
        "batch_stats": averages["stats"]["net"]["batch_stats"]["image"],
    }
    image_encoder = build.make_recipe(runs.read_config(workdir)).image
    codes = image_encoder.apply(variables, images / np.float32(127.5) - 1, train=False).code
    np.testing.assert_allclose(extractor.extract(images)["embedding"], codes, rtol=1e-4, atol=1e-5)


def test_a_training_measures_its_averaged_encoders(training, data_dir):
    workdir, found = training
    config, _ = runs.load_ema(workdir)
    network = networks.resolve("x", str(workdir), "text")
    held_out = HeldOut(build.data_options(config))
    batch = text_inputs(network.tokenizer, held_out.captions(10))
    images = held_out.images(10).astype(np.float32) / 127.5 - 1
    image_encoder = build.make_recipe(config).image
    for _, averages, values in found:
        params, stats = averages["params"]["net"], averages["stats"]["net"]["batch_stats"]
        variables = {"params": params["image"], "batch_stats": stats["image"]}
        codes = np.asarray(image_encoder.apply(variables, images, train=False).code)
        tokens, mask = batch[types.TOKENS][:, 0], batch[types.MASK][:, 0]
        text = network.module.apply({"params": params["text"]}, tokens, mask)
        sentences = np.asarray(text.sentence)
        for rank in (1, 5):
            captions, images_found = (
                by_hand(codes, sentences, rank),
                by_hand(sentences, codes, rank),
            )
            assert values[f"recall_at_{rank}_of_captions"] == pytest.approx(captions)
            assert values[f"recall_at_{rank}_of_images"] == pytest.approx(images_found)
            assert values[f"recall_at_{rank}"] == pytest.approx((captions + images_found) / 2)
    assert len(values) == 6


def test_the_best_checkpoint_is_what_other_runs_take(training):
    """Both of a GAN's networks come from the one run, with its vocabulary."""
    workdir, found = training
    assert runs.best_step(workdir) == 1
    best, last = (averages["params"]["net"] for averages, _, _ in found)
    config = resolved("nowhere", "attn_gan")
    config.encoder.source, config.frozen.damsm = str(workdir), str(workdir)
    system = build.build(config)
    assert isinstance(system.encoder, TextEncoder)
    assert isinstance(system.recipe.damsm, CompactImageEncoder)
    assert system.tokenizer.vocab_size == system.encoder.vocab_size > 10
    for name, part in (("encoder", "text"), ("damsm", "image")):
        taken = system.frozen[name].variables["params"]
        jax.tree.map(np.testing.assert_array_equal, taken, best[part])
        same = jax.tree.map(np.array_equal, taken, last[part])
        assert not all(jax.tree.leaves(same))


def test_bad_evaluations_are_refused(data_dir):
    config = resolved(data_dir, **{"evals.names": ("retrival",)})
    system = build.System(config, None, None, None, {})
    with pytest.raises(ValueError, match="evals.names: no 'retrival'; did you mean 'retrieval'"):
        in_training.evaluators(system, build.data_options(config))
    config.system = "attn_gan"
    system = dataclasses.replace(system, recipe=SimpleNamespace(embeds=""))
    with pytest.raises(ValueError, match="'attn_gan' trains nothing that compares images with"):
        Retrieval(system, build.data_options(config), 10)


def test_too_few_held_out_images_are_told_before_training(data_dir, monkeypatch):
    monkeypatch.setattr(HeldOut, "__len__", lambda self: 4)
    config = resolved(data_dir)
    system = build.build(config, captions=lambda: [["a red bird"]])
    with pytest.raises(NoHeldOut, match="at 5 needs as many held-out images, .*/test has 4"):
        Retrieval(system, build.data_options(config), 10)


@pytest.fixture(scope="module")
def xmc_run(data_dir, tmp_path_factory):
    """A run of XMC-GAN with random networks, of which only G is averaged: (directory, D's
    variables).
    """
    workdir = tmp_path_factory.mktemp("runs") / "xmc"
    changes = {"frozen.image_network": "", "loss.g.image_network": 0.0, "recipe.rho1": 3.0}
    config = resolved(data_dir, "xmc_gan", **changes)
    source = catalog.open_split("toy_birds", data_dir, "train")
    system = build.build(config, captions=lambda: captions_of(source))
    encoder = system.frozen["encoder"]
    # Else all captions have nearly the same vector, and rounding decides.
    variables = jax.tree.map(lambda x: 8 * x, encoder.variables)
    encoder = dataclasses.replace(encoder, variables=variables)
    words, width = jnp.zeros((1, system.tokenizer.length, 12)), system.encoder.embedding
    text = types.Text(jnp.zeros((1, width)), words, jnp.ones(words.shape[:2], bool))
    seen = Seen({types.IMAGES: jnp.zeros((1, 32, 32, 3))}, text)
    players = random_like(system.recipe.init, jax.random.key(0), seen)
    params = {name: v.pop("params") for name, v in players.items()}
    stats = {name: v for name, v in players.items() if v}
    workdir.mkdir()
    runs.write_config(workdir, config)
    runs.write_tokenizer(workdir, system.tokenizer)
    networks.save(workdir, "encoder", encoder)
    ema = {"params": {"g": params["g"]}, "stats": {"g": stats["g"]}}
    train = {"step": np.int32(1), "params": params, "stats": stats}
    with Checkpoints(runs.checkpoints_dir(workdir), asynchronous=False) as checkpoints:
        checkpoints.save(1, ema=ema, train=train, data={}, config=config.to_dict())
    return workdir, {"params": params["d"], **stats["d"]}


def word_score(regions, words, rho1, rho2):
    """Of one image and one caption, word by word: XMC-GAN, section 3.2."""
    regions = regions / np.linalg.norm(regions, axis=1, keepdims=True)
    total = 0.0
    for word in words / np.linalg.norm(words, axis=1, keepdims=True):
        weights = np.exp(rho1 * (regions @ word))
        context = (weights / weights.sum()) @ regions
        total += np.exp(rho2 * (context @ word) / np.linalg.norm(context))
    return np.log(total) / rho2


def test_a_discriminator_that_is_an_encoder(xmc_run, data_dir, tmp_path, capsys):
    """Real held-out images find their sentences and words by what D computes of both."""
    workdir, d = xmc_run
    argv = [f"--workdir={workdir}", f"--out={tmp_path}", "--num=12", "--seed=3"]
    evaluate.main(["--protocol=retrieval", *argv])
    printed = capsys.readouterr().out
    result = json.loads((tmp_path / "retrieval.json").read_text())
    system = build.restore(runs.read_config(workdir), workdir)
    held_out = HeldOut(build.data_options(system.config), seed=3)
    ids, mask = system.tokenizer.encode(held_out.captions(12))
    encoder = system.frozen["encoder"]
    text = encoder.module.apply(encoder.variables, ids, mask)
    images = held_out.images(12).astype(np.float32) / 127.5 - 1
    look = jax.jit(lambda *x: system.recipe.discriminator.apply(d, *x, 12, train=False)[1])
    found = [np.asarray(x, float) for x in look(images, text.sentence)]
    dual = load_dual(workdir, batch_size=4)
    vectors = dual.images.extract(held_out.images(12))[EMBEDDING], dual.text(held_out.captions(12))
    np.testing.assert_allclose(vectors, found[:2], rtol=1e-3, atol=1e-3 * np.std(found[0]))
    norm = np.linalg.norm
    words = [np.asarray(x, float)[m] for x, m in zip(text.words, mask, strict=True)]
    scores = {
        "sentence": np.array([[a @ b / norm(a) / norm(b) for b in found[1]] for a in found[0]]),
        "word": np.array([[word_score(r, w, 3.0, 5.0) for w in words] for r in found[2]]),
    }
    assert result["comparisons"].keys() == scores.keys() and result["pool"] == 12
    for name, table in scores.items():
        for which, rows in (("captions", table), ("images", table.T)):
            at = np.array([np.sum(row >= row[i]) for i, row in enumerate(rows)])
            row = result["comparisons"][name][which]
            assert row["mean_place"] == pytest.approx(at.mean()), (name, which)
            assert row["median_place"] == pytest.approx(np.median(at))
            for k in (1, 5):
                assert row[f"recall_at_{k}"]["share"] == pytest.approx(np.mean(at <= k))
                low, high = row[f"recall_at_{k}"]["interval"]
                assert low <= np.mean(at <= k) <= high and row[f"recall_at_{k}"]["n"] == 12
    assert result["chance"] == pytest.approx(
        {"recall_at_1": 1 / 12, "recall_at_5": 5 / 12, "mean_place": 6.5}
    )
    assert "12 images of toy_birds/test, pools of 12" in printed and "41.7%" in printed
    assert "captions, sentence" in printed and "images, word" in printed
