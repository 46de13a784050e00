"""What the sentence vectors of a text encoder still say of a caption: a linear probe of them.

For every attribute of the toy birds, a linear classifier is trained on the vectors of captions that
state it and asked about other captions. An attribute that it does not find is one that a generator
can hardly draw, however well it is trained.
"""

import jax
import numpy as np
from PIL import Image

from t2i_jax.data.toy_birds import ATTRIBUTES
from t2i_jax.drawing.drawer import in_batches
from t2i_jax.evaluation import toy_captions
from t2i_jax.evaluation.attribute_pictures import bars
from t2i_jax.evaluation.intervals import share
from t2i_jax.evaluation.linear_probe import fit
from t2i_jax.training import networks, runs
from t2i_jax.training.modules import class_name, recipe_module

TRAIN = 6000  # captions that the probe is trained on
_BATCH = 100


def evaluate(source: str, num: int, seed: int = 0) -> tuple[dict, dict[str, Image.Image], str]:
    """(result, pictures by name, what to print) of the encoder that `source` names.

    source: a run of a text encoder, or of a GAN, whose encoder is then probed.
    num: captions that the probe is asked about; `TRAIN` others train it.

    Raises FileNotFoundError where `source` is no run, ValueError where it reads no captions.
    """
    if num < 1:
        raise ValueError(f"num={num}: must be at least 1")
    encoder = encoder_of(source)
    captions = [toy_captions.stated(i, seed) for i in range(TRAIN + num)]
    vectors = sentence_vectors(encoder, [row.caption for row in captions])
    facts = [row.facts for row in captions]
    found = probe(vectors, facts, TRAIN)
    result = {
        "workdir": source,
        "encoder": class_name(encoder.module),
        "width": vectors.shape[1],
        "seed": seed,
        "train_captions": TRAIN,
        "captions": num,
        "attributes": found,
    }
    title = f"Linear probe of the sentence vectors of {source}: {num:,} held-out captions"
    return result, {"text_probe": bars(found, ("share", "chance"), title)}, _table(found)


def encoder_of(source: str) -> networks.Network:
    """The text encoder of a run of one, or of a GAN's run; raises as `evaluate`."""
    path = source if runs.is_run(source) else source.rpartition(":")[0]
    config = runs.read_config(path or source)
    trained = "text" in recipe_module(config.system).Recipe.networks
    if not trained and not config.encoder.name:
        raise ValueError(f"{source}: a run of {config.system!r} that reads no captions")
    part = "text" if trained else networks.TEXT_ENCODER
    network = networks.resolve("workdir", source, part)
    if network.tokenizer is None:
        raise ValueError(f"{source}: it has no tokenizer, so it reads no captions")
    return network


def sentence_vectors(encoder: networks.Network, captions: list[str]) -> np.ndarray:
    """The sentence vectors of captions, float32 [N, E]."""
    apply = jax.jit(lambda v, ids, mask: encoder.module.apply(v, ids, mask).sentence)
    return in_batches(
        lambda part: apply(encoder.variables, *part), encoder.tokenizer.encode(captions), _BATCH
    )


def probe(vectors: np.ndarray, facts: list[dict[str, int]], train: int) -> dict[str, dict]:
    """Per attribute, how often the probe finds what a caption states.

    vectors: [N, E]; facts: what each of the N captions states. The first `train` train the probe.

    ``share`` with its ``interval`` and ``n``, the held-out captions that state the attribute;
    ``chance``, the share of the value that is stated most often. Attributes that no caption of
    either part states are left out.
    """
    found = {}
    for name, values in ATTRIBUTES.items():
        rows = np.array([i for i, fact in enumerate(facts) if name in fact])
        if not len(rows) or not rows[0] < train <= rows[-1]:
            continue
        classes = np.array([facts[i][name] for i in rows])
        seen = rows < train
        read = fit(vectors[rows[seen]], classes[seen], len(values))(vectors[rows[~seen]])
        truth = classes[~seen]
        chance = float(np.bincount(truth).max() / len(truth))
        found[name] = {**share(int(np.sum(read == truth)), len(truth)), "chance": chance}
    return found


def _table(found: dict[str, dict]) -> str:
    lines = [f"{'attribute':12} {'found':>7}  {'95 % interval':15} {'chance':>7} {'captions':>9}"]
    for name, row in found.items():
        low, high = row["interval"]
        span = f"{low:.1%} to {high:.1%}"
        lines.append(f"{name:12} {row['share']:7.1%}  {span:15} {row['chance']:7.1%} {row['n']:9,}")
    return "\n".join(lines)
