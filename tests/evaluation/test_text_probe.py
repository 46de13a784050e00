"""The linear probe against scikit-learn and vectors whose content is known, and the protocol on an
encoder's run.
"""

import json

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from tiny_runs import gan_run

from evaluation.tiny_subjects import encoder_run, unconditional_run
from t2i_jax.commands import evaluate
from t2i_jax.data.toy_birds import ATTRIBUTES, caption_facts, value_names
from t2i_jax.evaluation import linear_probe, text_probe, toy_captions
from t2i_jax.evaluation.intervals import share


def test_the_probe_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 6)) * [1, 2, 5, 0.1, 1, 0] + 3  # the last one is constant
    classes = np.argmax(x[:, :4] - 3 + rng.normal(size=(300, 4)), axis=1)
    own = linear_probe.fit(x, classes, 4, decay=1e-2)
    scaled = (x - x.mean(axis=0)) / np.where(x.std(axis=0) > 1e-9, x.std(axis=0), 1)
    other = LogisticRegression(C=1 / (1e-2 * len(x)), tol=1e-8, max_iter=1000).fit(scaled, classes)
    np.testing.assert_allclose(own.w, other.coef_.T, atol=2e-3)
    np.testing.assert_array_equal(own(x), other.predict(scaled))


@pytest.mark.parametrize(
    "x, classes, message",
    [
        (np.array([[np.nan]]), [0], "finite"),
        (np.ones((0, 3)), [], "a probe needs vectors"),
        (np.ones((2, 3)), [0, 5], "classes must be in 0..4"),
    ],
)
def test_what_cannot_be_probed(x, classes, message):
    with pytest.raises(ValueError, match=message):
        linear_probe.fit(x, np.array(classes, int), 5)


@pytest.mark.parametrize(
    "hits, count, low, high",
    # Worked by hand from Wilson's formula; 0 of n is z^2 / (n + z^2).
    [(0, 10, 0.0, 0.277533), (10, 10, 1 - 0.277533, 1.0), (50, 100, 0.403832, 0.596168)],
)
def test_intervals(hits, count, low, high):
    found = share(hits, count)
    assert found["share"] == hits / count and found["n"] == count
    assert found["interval"] == pytest.approx([low, high], abs=1e-5)


def test_nothing_to_count():
    assert share(0, 0) == {"share": None, "interval": None, "n": 0}


def test_captions_are_true_and_their_birds_are_of_no_species():
    rows = [toy_captions.stated(i, seed=3) for i in range(400)]
    assert rows[:5] == [toy_captions.stated(i, seed=3) for i in range(5)]
    assert rows[0] != toy_captions.stated(0, seed=4)
    for row in rows[:50]:
        assert value_names(row.facts) == caption_facts(row.caption)
        assert row.facts.items() <= row.attributes.items()
    for name, values in ATTRIBUTES.items():
        counts = np.bincount([row.attributes[name] for row in rows], minlength=len(values))
        expected = len(rows) / len(values)
        assert np.abs(counts - expected).max() < 4.5 * np.sqrt(expected), name
    joint = np.zeros((10, 10))
    for row in rows:
        joint[row.attributes["body"], row.attributes["wing"]] += 1
    assert (joint > 0).sum() > 90  # 400 draws of 100 pairs; of 100 species there would be fewer


def test_an_attribute_is_found_where_the_vectors_hold_it():
    """Vectors that say the body's colour, half of the wings' colours, and nothing of the crown."""
    rng, rows = np.random.default_rng(1), [toy_captions.stated(i) for i in range(3000)]
    facts = [row.facts for row in rows]
    vectors = rng.normal(size=(3000, 24)) * 0.05
    for vector, fact in zip(vectors, facts, strict=True):
        if "body" in fact:
            vector[fact["body"]] += 1
        if "wing" in fact and fact["wing"] < 5:
            vector[10 + fact["wing"]] += 1
    found = text_probe.probe(vectors, facts, 2000)
    assert list(found) == list(ATTRIBUTES)
    assert found["body"]["share"] == 1
    # The five unheard colours are one guess.
    assert 0.5 < found["wing"]["share"] < 0.75
    assert found["crown"]["share"] < 0.2 and found["crown"]["chance"] < 0.2
    assert found["body"]["n"] == sum("body" in fact for fact in facts[2000:])


def test_an_attribute_that_no_caption_states_is_left_out():
    facts = [{"body": i % 10} for i in range(60)]
    assert list(text_probe.probe(np.ones((60, 3)), facts, 40)) == ["body"]
    assert not text_probe.probe(np.ones((60, 3)), facts, 60)


@pytest.mark.parametrize("make", [encoder_run, gan_run])
def test_the_command(make, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(text_probe, "TRAIN", 150)
    run, out = make(tmp_path / "run"), tmp_path / "out"
    if make is encoder_run:
        from t2i_jax.data import tokenizers
        from t2i_jax.training import runs

        runs.write_tokenizer(run, tokenizers.from_config("char"))
    argv = ["--protocol=text_probe", f"--workdir={run}", "--num=50", f"--out={out}"]
    evaluate.main(argv)
    assert sorted(path.name for path in out.iterdir()) == ["text_probe.json", "text_probe.png"]
    result = json.loads((out / "text_probe.json").read_text())
    assert result["captions"] == 50 and result["train_captions"] == 150
    assert result["encoder"] == "t2i_jax.encoders.char_cnn_rnn:TextEncoder"
    body = result["attributes"]["body"]
    assert body["interval"][0] <= body["share"] <= body["interval"][1]
    assert "body" in capsys.readouterr().out


def test_a_run_without_text(tmp_path, capsys):
    run = unconditional_run(tmp_path / "gan")
    with pytest.raises(SystemExit):
        evaluate.main(["--protocol=text_probe", f"--workdir={run}"])
    assert "reads no captions" in capsys.readouterr().err
