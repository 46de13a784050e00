"""What a recipe's functions take and return, and the small tools that they share.

Variables are linen variable dicts, ``{"params": ..., "batch_stats": ...}``; a "state" is such a
dict without ``"params"``: the running statistics that a pass in training mode has changed.
"""

import copy
import itertools
from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp

from t2i_jax import axis, types
from t2i_jax.types import Text

Batch = Mapping[str, Any]
Losses = dict[str, jax.Array]
Variables = Mapping[str, Any]

_REMEDIES = {
    types.WRONG_IMAGES: "set data.mismatch=image",
    types.WRONG_TOKENS: "set data.mismatch=caption",
    types.TOKENS: "set data.captions and a tokenizer",
    types.ATTRIBUTES: "set data.attributes",
}


class Seen(NamedTuple):
    """What every function of a recipe can see beside the networks that are trained.

    batch: the data of this step, by the keys of `t2i_jax.types`; empty when sampling.
    text: the captions of the batch, encoded; None for a training without text.
    wrong_text: the mismatched captions, encoded; None where the batch has none.
    frozen: variables of the networks that the run uses and does not train, by name.
    """

    batch: Batch
    text: Text | None = None
    wrong_text: Text | None = None
    frozen: Mapping[str, Variables] = {}

    def of(self, key: str) -> Any:
        """The batch's entry; ValueError, with the field to set, where the data do not give it."""
        if key not in self.batch:
            remedy = _REMEDIES.get(key, f"the pipeline gives {sorted(self.batch)}")
            raise ValueError(
                f"the recipe needs batch[{key!r}], but the data do not give it: {remedy}"
            )
        return self.batch[key]

    @property
    def wrong_sentence(self) -> jax.Array:
        """Sentence vectors of captions of other images; ValueError where the batch has none."""
        if self.wrong_text is None:
            raise ValueError(
                "the recipe needs mismatched captions: set data.mismatch=caption, and an encoder "
                "or stored embeddings"
            )
        return self.wrong_text.sentence


@flax.struct.dataclass
class Terms:
    """What a function of loss terms returns.

    losses: float32 scalars by term; the step weighs and sums them.
    metrics: scalars that are logged and never optimized.
    state: the new state of the networks that the terms were asked of.
    fakes: what D found in the fakes, for G's terms to take over where both players are updated
        from the same D (``order="simultaneous"``); None where there is nothing to share.
    """

    losses: Losses
    metrics: dict[str, jax.Array] = flax.struct.field(default_factory=dict)
    state: dict[str, Any] = flax.struct.field(default_factory=dict)
    fakes: Any = None


@flax.struct.dataclass
class Judgement:
    """D's answers about a batch of images: logits [B], one array for each of D's scales.

    fits: "the image is real and fits its text"; empty for a D without text.
    real: "the image is real, whatever its text"; empty for a D without such heads.
    extra: what a system's D finds beside that.
    """

    fits: tuple[jax.Array, ...] = ()
    real: tuple[jax.Array, ...] = ()
    extra: Any = None

    def answers(self, fits: bool, real: bool) -> bool:
        """Whether it holds the answers of these kinds of heads."""
        return (bool(self.fits) or not fits) and (bool(self.real) or not real)


def apply_train(module: nn.Module, variables: Variables, *args, **kwargs) -> tuple[Any, dict]:
    """A train-mode forward pass: (output, state with the new running statistics)."""
    return module.apply(variables, *args, train=True, mutable=["batch_stats", "spectral"], **kwargs)


def with_state(variables: Variables, state: Variables) -> dict:
    """The variables with their statistics replaced by `state`."""
    return {**variables, **state}


class Net:
    """A network in use: its running statistics move with every call, in the order of the calls.

    Calling it calls the module's method of that name in training mode, or in evaluation mode, where
    nothing moves. `state` holds the statistics that have moved so far. It lives inside one function
    of a recipe, which so stays a pure function of arrays.

    key: for modules that draw numbers of their own in a pass; each call gets another part of it.
    """

    def __init__(
        self, module: nn.Module, variables: Variables, key: jax.Array | None = None, train=True
    ):
        self.module, self.key, self.train = module, key, train
        self.state: dict[str, Any] = {}
        self._variables, self._calls = variables, itertools.count()

    def __call__(self, *args, method: str = "__call__", **kwargs) -> Any:
        variables = with_state(self._variables, self.state)
        if not self.train:
            return self.module.apply(variables, *args, train=False, method=method, **kwargs)
        if self.key is not None:
            kwargs["rngs"] = {"noise": jax.random.fold_in(self.key, next(self._calls))}
        result, moved = apply_train(self.module, variables, *args, method=method, **kwargs)
        self.state.update(moved)
        return result

    def on_all_rows(self) -> "Net":
        """The same network with the same moving statistics, for calls that have the rows of the
        global batch on every device, and so must not reach over the devices.
        """
        other = copy.copy(self)
        if hasattr(self.module, "axis_name"):  # else no row of it sees another
            other.module = self.module.clone(axis_name=None)
        return other


def shifted_pairs(features: Any, condition: jax.Array, axis_name: str | None) -> tuple[Any, Any]:
    """Mismatched pairs as several releases make them: the features of each row of the global batch
    but the last, and the condition of the next row.

    They are one less than the rows, so they do not divide over devices. Every device gets all of
    them, for a network `Net.on_all_rows`; judging them is cheap. Raises as `check_two_rows`.
    """
    check_two_rows(condition, axis_name)
    features, condition = jax.tree.map(lambda x: axis.gather(x, axis_name), (features, condition))
    return jax.tree.map(lambda x: x[:-1], features), jax.tree.map(lambda x: x[1:], condition)


def check_two_rows(condition: jax.Array, axis_name: str | None) -> None:
    """Raises ValueError for a global batch of one row, in which no text is another image's."""
    if len(condition) * axis.size(axis_name) < 2:
        raise ValueError(
            "mismatched pairs are made of two rows of a batch: set data.batch to 2 or more, or the "
            "weight loss.d.wrong to 0"
        )


def brought_pairs(mismatch: str) -> str:
    """Which mismatched pairs of the data a recipe reads whose field ``mismatch`` has this value, as
    ``data.mismatch`` names them; "" where it makes pairs of its own.
    """
    return {"text": "caption", "caption": "caption", "image": "image"}.get(mismatch, "")


def accuracies(judged: Mapping[str, Judgement]) -> dict[str, jax.Array]:
    """How often D is right, as metrics in 0..1, averaged over its scales.

    judged: by kind. "real" pairs are real images with their text, "wrong" ones real images with
        text that does not fit, "fake" ones G's images.

    ``accuracy_<kind>`` counts the heads that see the text (a D without them: the others);
    ``accuracy_uncond_<kind>`` those that do not, where D has both.
    """
    metrics = {}
    for kind, judgement in judged.items():
        heads = {"": (judgement.fits, kind == "real"), "uncond_": (judgement.real, kind != "fake")}
        if not judgement.fits:
            heads[""] = heads.pop("uncond_")
        for name, (logits, positive) in heads.items():
            right = [(x > 0) == positive for x in logits]
            if right:
                shares = [jnp.mean(x.astype(jnp.float32)) for x in right]
                metrics[f"accuracy_{name}{kind}"] = sum(shares) / len(shares)
    return metrics


def check_terms(player: str, losses: Mapping[str, Any], active: frozenset[str]) -> None:
    """Raises ValueError, while tracing, where the returned terms are not the weighted ones."""
    returned = {f"{player}.{name}" for name in losses}
    wanted = {name for name in active if name.startswith(f"{player}.")}
    if returned != wanted:
        missing, extra = sorted(wanted - returned), sorted(returned - wanted)
        raise ValueError(
            f"loss terms of player {player!r} do not fit the config: "
            + (f"weighted but never computed: {missing}; " if missing else "")
            + (f"computed without a weight: {extra}; " if extra else "")
            + f"the config weighs {sorted(wanted)}"
        )


def no_noise(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, jax.Array]:
    """One row of zeros for each noise of these shapes, such as a generator is initialized with."""
    return {name: jnp.zeros((1, *shape)) for name, shape in shapes.items()}


def local_rows(batch: Batch) -> int:
    """Rows of a batch on this device (or of the global batch, in a global-view program)."""
    return next(iter(batch.values())).shape[0]
