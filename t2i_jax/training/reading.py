"""What of the captions a recipe reads: whether it can be given, and whether once is enough."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from t2i_jax import keys, types
from t2i_jax.data.options import DataOptions
from t2i_jax.training import networks
from t2i_jax.training.build import System
from t2i_jax.training.inputs import encode


def check(system: System, data: DataOptions) -> None:
    """Raises ValueError, with the field to set, where the recipe reads what it cannot be given, or
    where the data bring mismatched pairs that it does not read.
    """
    reads, name = system.recipe.reads, system.config.system
    _check_wrong_pairs(system, data)
    if reads == "nothing":
        return
    if not data.captions:
        raise ValueError(f"{name!r} reads captions, but data.captions=0: set it to 1 or more")
    if reads == "tokens":
        if data.text != "tokens" or system.tokenizer is None:
            raise ValueError(
                f"{name!r} encodes captions itself: set data.text=tokens and a tokenizer.name"
            )
        if system.encoder is not None:
            raise ValueError(
                f"{name!r} trains a text encoder of its own and would not use encoder.name="
                f"{system.config.encoder.name!r}: leave that out. A DAMSM on frozen words is "
                "trained by the arguments of the config damsm that end in '_minilm'"
            )
        return
    if data.text == "embeddings":
        if reads == "words":
            raise ValueError(
                f"{name!r} reads word vectors, which stored embeddings lack: set data.text=tokens "
                f"and an encoder.name with words, such as damsm{_without(system)}"
            )
        return
    if system.encoder is None:
        raise ValueError(f"{name!r} reads captions: set encoder.name and encoder.source")
    if system.joint and "g" not in system.recipe.players:
        raise ValueError(
            f"encoder.train=joint trains the text encoder with a generator, and {name!r} has none: "
            "set encoder.train=frozen"
        )
    if reads == "words":
        if data.captions > 1:
            raise ValueError(
                f"{name!r} reads word vectors, which cannot be averaged over data.captions="
                f"{data.captions} captions: set data.captions=1"
            )
        if not _gives_words(system):
            raise ValueError(
                f"{name!r} reads word vectors, but encoder.name={system.config.encoder.name!r} "
                f"gives sentence vectors only: set one with words, such as damsm{_without(system)}"
            )


def _check_wrong_pairs(system: System, data: DataOptions) -> None:
    brought = "caption" if data.mismatch == "swapped" else data.mismatch
    read, name = system.recipe.wrong_pairs, system.config.system
    if brought in ("", read):
        return
    by_itself = getattr(system.recipe, "mismatch", "")
    name = f"{name!r} with recipe.mismatch={by_itself}" if by_itself else f"{name!r}"
    remedies = f"set data.mismatch={read}" if read else "set data.mismatch=''"
    remedies += ", or a recipe.mismatch that reads them" if by_itself else ""
    raise ValueError(
        f"data.mismatch={data.mismatch} brings mismatched {brought}s, which {name} does not read: "
        f"{remedies}"
    )


def _without(system: System) -> str:
    """The remedy of systems that have a form without words."""
    fields = system.recipe.without_words
    return f", or the form without words: {' '.join(fields)}" if fields else ""


def _gives_words(system: System) -> bool:
    tokens = jax.ShapeDtypeStruct((1, system.tokenizer.length), jnp.int32)
    mask = jax.ShapeDtypeStruct(tokens.shape, bool)
    key = jax.eval_shape(lambda: keys.from_seed(0))
    text, _ = jax.eval_shape(system.encoder.init_with_output, key, tokens, mask)
    return text.words is not None


def is_cached(system: System, data: DataOptions) -> bool:
    """Whether every caption can be encoded once, before training: the recipe reads nothing but
    sentences of a frozen encoder, and a caption is read the same way whenever it is drawn.
    """
    return (
        system.recipe.reads == "sentence"
        and networks.TEXT_ENCODER in system.frozen
        and bool(system.config.encoder.cache)
        and data.text == "tokens"
        and data.truncate == "head"
        and data.mismatch != "swapped"
        and data.captions > 0
    )


def with_cached_sentences(batch: Mapping[str, np.ndarray], system: System) -> dict[str, np.ndarray]:
    """Random vectors of the right size in the place of tokens, as an example of batches whose
    captions are encoded beforehand.
    """
    batch, rng = dict(batch), np.random.default_rng(0)
    for tokens, mask, sentence, wrong in (
        (types.TOKENS, types.MASK, types.SENTENCE, False),
        (types.WRONG_TOKENS, types.WRONG_MASK, types.WRONG_SENTENCE, True),
    ):
        if tokens in batch:
            text = jax.eval_shape(
                lambda variables, batch, wrong=wrong: encode(
                    system.encoder, variables, batch, wrong
                ),
                system.frozen[networks.TEXT_ENCODER].variables,
                batch,
            )
            batch[sentence] = rng.normal(size=text.sentence.shape).astype(np.float32)
            del batch[tokens], batch[mask]
    return batch
