"""char-CNN-RNN against the authors' Torch7 module definitions and hand-written gradients."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

from parity._compare import close, close_gradients, section
from t2i_jax import types
from t2i_jax.data.tokenizers.char import CharTokenizer
from t2i_jax.encoders.small_image_net import SmallImageNet
from t2i_jax.evaluation.zero_shot import precision_at, top1
from t2i_jax.interop.char_cnn_rnn import from_arrays, to_arrays
from t2i_jax.losses.matching import matching_accuracy, structured_joint_embedding
from t2i_jax.recipes.char_cnn_rnn import FEATURES, Recipe
from t2i_jax.recipes.terms import Seen
from t2i_jax.training.optimizers import make_direction

OTHER_IDS = ("case_sensitive", "cut_at_zero", "unknown_as_space")


def _token_ids(golden):
    strings = [str(s) for s in golden["text/strings"]]
    for mode in ("lower", *OTHER_IDS):
        ids, _ = CharTokenizer(mode=mode).encode(strings)
        expected = golden["text/ids" if mode == "lower" else f"text/ids_{mode}"]
        np.testing.assert_array_equal(ids, expected, err_msg=mode)


def _forward(golden, model):
    encoder, variables = from_arrays(section(golden, f"{model}/"))
    sizes = (*encoder.conv_widths, encoder.width, encoder.embedding)
    assert sizes == tuple(int(golden[f"meta/{k}"]) for k in ("c1", "c2", "cnn_dim", "emb"))
    assert encoder.recurrent == model

    @jax.jit
    def run(ids):
        return encoder.apply(variables, ids, mutable=["intermediates"])

    text, seen = run(golden["text/ids"])
    seen = seen["intermediates"]
    renamed = {"features": "conv3", "state": "mean"}
    for name in ("pool1", "pool2", "features", "hidden", "state"):
        close(seen[name][0], golden[f"out/{model}/{renamed.get(name, name)}"], name)
    close(text.sentence, golden[f"out/{model}/embedding"], "embedding")
    for mode in OTHER_IDS:
        text, _ = run(golden[f"text/ids_{mode}"])
        close(text.sentence, golden[f"out/{model}/embedding_{mode}"], mode)
    if model == "gru18":
        text = encoder.clone(average=False).apply(variables, golden["text/ids"])
        close(text.sentence, golden["out/gru18/embedding_last_state"], "last state")


def _end_to_end(golden, model):
    encoder, variables = from_arrays(section(golden, f"{model}/"))
    directions = ("image_to_text", "text_to_image")
    recipe = Recipe(
        text=encoder,
        image=SmallImageNet(embedding=encoder.embedding),
        surrogate="sum",
        active=frozenset(f"net.{name}" for name in directions),
    )
    batch = {
        types.TOKENS: golden["text/ids"][:, None],
        FEATURES: golden["in/image_features"],
    }

    @jax.jit
    @functools.partial(jax.value_and_grad, has_aux=True)
    def loss(params):
        variables = {"params": {"text": params}}
        terms = recipe.terms(variables, Seen(batch), jax.random.key(0))
        assert not terms.state
        return sum(terms.losses.values()), terms.losses

    (total, losses), grads = loss(variables["params"])
    for name in directions:
        close(losses[name], golden[f"e2e/{model}/loss_{name}"], name)
    close(total, golden[f"e2e/{model}/loss"], "loss")
    close_gradients(to_arrays(grads), section(golden, f"e2e/{model}/grad/"))


def _one_direction(golden, case):
    """Images to texts: loss, accuracy, both gradients."""
    images, texts = golden[f"{case}/fea_img"], golden[f"{case}/fea_txt"]
    labels = golden.get(f"{case}/labels", np.arange(len(images)))
    loss, (image_grad, text_grad) = jax.value_and_grad(
        lambda v, u: structured_joint_embedding(v, u, labels, surrogate="sum"), argnums=(0, 1)
    )(images, texts)
    accuracy = matching_accuracy(images, texts, labels)
    close(loss, golden[f"{case}/loss_image_to_text"], "loss")
    close(accuracy, golden[f"{case}/acc_image_to_text"], "accuracy")
    close(image_grad, golden[f"{case}/grad_img_image_to_text"], "image gradient")
    close(text_grad, golden[f"{case}/grad_txt_image_to_text"], "text gradient")


def _symmetric(golden):
    images, texts = golden["sje/fea_img"], golden["sje/fea_txt"]
    labels = np.arange(len(images))

    def loss(v, u):
        back = structured_joint_embedding(u, v, labels, surrogate="sum")
        return structured_joint_embedding(v, u, labels, surrogate="sum") + back, back

    (total, back), (image_grad, text_grad) = jax.value_and_grad(loss, (0, 1), has_aux=True)(
        images, texts
    )
    close(total, golden["sje/loss"], "loss")
    close(back, golden["sje/loss_text_to_image"], "text to image")
    close(matching_accuracy(texts, images, labels), golden["sje/acc_text_to_image"], "its accuracy")
    close(image_grad, golden["sje/grad_img"], "image gradient")
    close(text_grad, golden["sje/grad_txt"], "text gradient")


def _zero_shot(golden):
    data = section(golden, "zeroshot/")
    arrays = data["image"], data["image_class"], data["class_text"]
    close(top1(*arrays), data["top1"], "top-1")
    for k, precision in precision_at(*arrays, (1, 5, 10)).items():
        close(precision, data[f"precision_at_{k}"], f"precision at {k}")


def _rmsprop(golden):
    x0 = jnp.asarray(golden["rmsprop/x0"])
    direction = make_direction({"name": "rmsprop", "decay": 0.99, "eps": 1e-8})
    x, state = x0, direction.init(x0)
    for grad in golden["rmsprop/grads"]:
        update, state = direction.update(jnp.asarray(grad), state, x)
        x = optax.apply_updates(x, -7e-4 * update)
    # Compared as movements: they are small against x.
    close(x - x0, golden["rmsprop/x3"] - golden["rmsprop/x0"], "three steps")


CASES = {
    "token_ids": _token_ids,
    "rnn8_forward": functools.partial(_forward, model="rnn8"),
    "gru18_forward": functools.partial(_forward, model="gru18"),
    "rnn8_end_to_end": functools.partial(_end_to_end, model="rnn8"),
    "gru18_end_to_end": functools.partial(_end_to_end, model="gru18"),
    "image_to_text": functools.partial(_one_direction, case="sje"),
    "image_to_text_with_labels": functools.partial(_one_direction, case="sje_classes"),
    "symmetric": _symmetric,
    "zero_shot": _zero_shot,
    "rmsprop": _rmsprop,
}
