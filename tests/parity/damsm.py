"""DAMSM's encoders and losses against the authors' PyTorch modules, run in double precision."""

import functools
from unittest import mock

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from parity._compare import close, nhwc, section
from t2i_jax import axis
from t2i_jax.encoders.damsm import ImageEncoder
from t2i_jax.interop.damsm import export_text_encoder, import_text_encoder
from t2i_jax.losses.contrastive import cosine_scores
from t2i_jax.losses.damsm import (
    attend,
    sentence_losses,
    word_losses,
    word_scores,
)
from t2i_jax.types import Text


class Case:
    """The encoders and inputs of the file."""

    def __init__(self, golden):
        self.golden = golden
        self.encoder, self.variables = import_text_encoder(section(golden, "text/"))
        self.tokens = golden["in/captions"]
        self.mask = np.arange(self.tokens.shape[1]) < golden["in/cap_lens"][:, None]
        self.gammas = dict(
            zip(("gamma1", "gamma2", "gamma3"), map(float, golden["config/gamma"]), strict=True)
        )

    def encode(self, variables, train):
        """With the file's dropout mask in place of a drawn one."""
        draw = jnp.where(self.golden["in/dropout_keep"], 0.0, 1.0)
        with mock.patch.object(axis, "uniform", lambda key, shape, axis_name: draw):
            rngs = {"dropout": jax.random.key(0)} if train else {}
            return self.encoder.apply(variables, self.tokens, self.mask, rngs=rngs)

    def text(self, words, sentence):
        """As the file has them: words [B, E, T] of the longest caption."""
        return Text(sentence, jnp.swapaxes(words, 1, 2), self.mask[:, : words.shape[2]])

    def losses(self, regions, code, text, labels):
        """word0, word1, sent0, sent1 from regions [B, E, h, w]."""
        b, e, h, w = regions.shape
        regions = jnp.transpose(regions, (0, 2, 3, 1)).reshape(b, h * w, e)
        words = word_losses(regions, text, labels=labels, **self.gammas)
        sentences = sentence_losses(
            code, text.sentence, labels=labels, gamma3=self.gammas["gamma3"]
        )
        return (*words, *sentences)

    def labels(self, tag):
        ids = self.golden["in/class_ids"]
        return {"none": None, "classes": ids, "distinct": np.arange(len(ids))}[tag]


def _text(golden, mode):
    case = Case(golden)
    text = jax.jit(functools.partial(case.encode, train=mode == "train"))(case.variables)
    expected = case.text(golden[f"text_{mode}/words_emb"], golden[f"text_{mode}/sent_emb"])
    longest = expected.words.shape[1]
    close(text.words[:, :longest], expected.words, "words")
    close(text.sentence, expected.sentence, "sentence")
    assert not np.any(np.asarray(text.words)[~case.mask])


class _Heads(ImageEncoder):
    """The projections alone, of given maps."""

    @nn.compact
    def __call__(self, local, whole):
        return self.project(local, whole)


def _projections(golden):
    weights = section(golden, "image/")
    params = {
        "regions": {"kernel": weights["emb_features.weight"].transpose(2, 3, 1, 0)},
        "code": {"kernel": weights["emb_cnn_code.weight"].T, "bias": weights["emb_cnn_code.bias"]},
    }
    local, whole = nhwc(golden["in/features"]), golden["in/pooled"][:, None, None]

    @jax.jit
    def run(params):
        return _Heads(embedding=int(golden["config/E"])).apply({"params": params}, local, whole)

    out = run(params)
    expected = nhwc(golden["image_out/regions"])
    close(out.regions, expected.reshape(out.regions.shape), "regions")
    close(out.code, golden["image_out/code"], "code")


def _losses(golden, tag):
    case, prefix = Case(golden), f"loss_{tag}"
    labels = case.labels(tag)
    names = ("words_emb", "sent_emb", "regions", "code")
    words, sentence = (golden[f"text_train/{name}"] for name in names[:2])
    regions, code = (golden[f"image_out/{name}"] for name in names[2:])

    @jax.jit
    @functools.partial(jax.value_and_grad, argnums=(0, 1, 2, 3), has_aux=True)
    def loss(words, sentence, regions, code):
        terms = case.losses(regions, code, case.text(words, sentence), labels)
        return sum(terms), terms

    (total, terms), grads = loss(words, sentence, regions, code)
    for name, term in zip(("word0", "word1", "sent0", "sent1"), terms, strict=True):
        close(term, golden[f"{prefix}/{name}"], name)
    close(total, golden[f"{prefix}/total"], "total")
    for name, grad in zip(names, grads, strict=True):
        close(grad, golden[f"{prefix}/grad_{name}"], f"gradient of {name}")


def _scores(golden):
    """Before the mask of classes, and the attention on each caption's own image."""
    case = Case(golden)
    text = case.text(golden["text_train/words_emb"], golden["text_train/sent_emb"])
    regions = nhwc(golden["image_out/regions"])
    b, h, w, e = regions.shape
    regions = regions.reshape(b, h * w, e)
    gamma1, gamma2, gamma3 = case.gammas.values()
    found = word_scores(regions, text.words, text.mask, gamma1=gamma1, gamma2=gamma2)
    close(gamma3 * found, golden["loss_none/word_scores"], "word scores")
    found = cosine_scores(golden["image_out/code"], text.sentence)
    close(gamma3 * found, golden["loss_none/sent_scores"], "sentence scores")
    _, attention = attend(text.words, text.mask, regions, gamma1)
    for i, length in enumerate(golden["in/cap_lens"]):
        maps = attention[i, :length].reshape(-1, h, w)
        close(maps, golden[f"loss_classes/att{i}"], f"attention of caption {i}")


def _end_to_end(golden):
    """Gradients with respect to the parameters of both encoders."""
    case = Case(golden)
    labels = case.labels("classes")

    @jax.jit
    @functools.partial(jax.grad, argnums=(0, 1))
    def gradients(params, image):
        regions = jnp.einsum(
            "bfhw,ef->behw", golden["in/features"], image["emb_features.weight"][..., 0, 0]
        )
        code = golden["in/pooled"] @ image["emb_cnn_code.weight"].T + image["emb_cnn_code.bias"]
        text = case.encode({"params": params}, train=True)
        return sum(case.losses(regions, code, text, labels))

    text, image = gradients(case.variables["params"], section(golden, "image/"))
    text = export_text_encoder({"params": text})
    for name, expected in section(golden, "loss_classes/grad_text/full/").items():
        close(text[name], expected, f"gradient of {name}")
    for name, expected in section(golden, "loss_classes/grad_text/norm/").items():
        close(np.linalg.norm(text[name]), expected, f"gradient norm of {name}")
    norm = np.sqrt(sum(np.sum(np.square(grad)) for grad in text.values()))
    close(norm, golden["loss_classes/text_grad_norm_before_clip"], "gradient norm of all")
    for name, expected in section(golden, "loss_classes/grad_image/").items():
        close(image[name], expected, f"gradient of {name}")


CASES = {
    "text_eval": functools.partial(_text, mode="eval"),
    "text_train": functools.partial(_text, mode="train"),
    "projections": _projections,
    "scores": _scores,
    **{f"losses_{t}": functools.partial(_losses, tag=t) for t in ("none", "classes", "distinct")},
    "end_to_end": _end_to_end,
}
