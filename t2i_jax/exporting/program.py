"""What of a run goes to programs without this library: pure functions of named arrays.

The generator takes noise and an encoded text, the encoder the ids of a caption. Both take any
number of rows. They compute in float32, and products of matrices in full precision on every
platform, so that a GPU's or a TPU's shortcuts do not show in the images.
"""

import dataclasses
from collections.abc import Callable, Collection, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util
from flax.errors import FlaxError
from jax import export

from t2i_jax.drawing.drawer import encoder_variables, players
from t2i_jax.recipes.base import GanRecipe
from t2i_jax.recipes.terms import Seen
from t2i_jax.sampler import Sampler
from t2i_jax.types import MASK, SENTENCE, TOKENS, Text

Arrays = Mapping[str, Any]
Function = Callable[[Arrays, Arrays], dict[str, Any]]

ROWS = "rows"  # the name of the first axis of all inputs and outputs
IMAGES = "images"  # the output at the highest resolution


@dataclasses.dataclass(frozen=True)
class Program:
    """A function that can be written.

    name: "generator" or "encoder".
    function: of weights and inputs, both by name: outputs by name.
    weights: what it reads of the run's, by their path: "params/fc/kernel".
    inputs, outputs: shapes and types; the first axis of each is of unknown size.
    """

    name: str
    function: Function
    weights: dict[str, np.ndarray]
    inputs: dict[str, jax.ShapeDtypeStruct]
    outputs: dict[str, jax.ShapeDtypeStruct]


def programs(sampler: Sampler) -> tuple[Program, ...]:
    """The generator; before it the text encoder, of a run that has one.

    Raises ValueError where a run's stored embeddings are of unknown width.
    """
    system, networks = sampler.system, jax.device_get(sampler.networks)
    (rows,) = export.symbolic_shape(ROWS)
    recipe = _in_float32(system.recipe)
    variables = players(recipe, networks)["g"]
    noise = {k: _shape(rows, *shape) for k, shape in recipe.noise_shapes.items()}
    if system.encoder is None:
        text = _stored(sampler, recipe, variables, noise, rows)
        return (_program("generator", _generate(recipe), variables, {**noise, **text}),)
    ids = (rows, system.tokenizer.length)
    tokens = {TOKENS: _shape(*ids, dtype=jnp.int32), MASK: _shape(*ids, dtype=jnp.bool_)}
    frozen = encoder_variables(networks, jax.device_get(system.variables.get("encoder")))
    module = _float32(system.encoder)
    encoder = _program("encoder", _encode(module, Text._fields), frozen, tokens)
    text = {**encoder.outputs, MASK: tokens[MASK]}
    generator = _program("generator", _generate(recipe), variables, {**noise, **text})
    return _program("encoder", _encode(module, generator.inputs), frozen, tokens), generator


def _generate(recipe: GanRecipe) -> Function:
    def generate(weights: Arrays, inputs: Arrays) -> dict[str, Any]:
        noise = {k: x for k, x in inputs.items() if k not in Text._fields}
        text = Text(*(inputs.get(name) for name in Text._fields))
        seen = Seen({}, text if len(noise) < len(inputs) else None)
        with jax.default_matmul_precision("highest"):
            out, _ = recipe.generate(_nested(weights), seen, noise, train=False)
        *lower, finest = out["images"]
        return {IMAGES: finest, **{f"{IMAGES}_{i}": x for i, x in enumerate(lower, start=1)}}

    return generate


def _encode(module: nn.Module, wanted: Collection[str]) -> Function:
    def encode(weights: Arrays, inputs: Arrays) -> dict[str, Any]:
        with jax.default_matmul_precision("highest"):
            text: Text = module.apply(_nested(weights), inputs[TOKENS], inputs.get(MASK))
        made = text._replace(mask=None)._asdict()  # the mask is the tokenizer's
        return {name: x for name, x in made.items() if x is not None and name in wanted}

    return encode


def _program(
    name: str, function: Function, variables: Mapping[str, Any], inputs: Arrays
) -> Program:
    """With the weights and inputs that the function reads; those of losses stay behind."""
    weights = traverse_util.flatten_dict(dict(variables), sep="/")
    traced = jax.make_jaxpr(function)(weights, inputs).jaxpr
    read = {id(x) for equation in traced.eqns for x in equation.invars}
    flags = [id(x) in read for x in traced.invars]
    of_weights, of_inputs = jax.tree.unflatten(jax.tree.structure((weights, inputs)), flags)
    weights = {k: np.asarray(x) for k, x in weights.items() if of_weights[k]}
    inputs = {k: x for k, x in inputs.items() if of_inputs[k]}
    return Program(name, function, weights, inputs, jax.eval_shape(function, weights, inputs))


def _nested(weights: Arrays) -> dict[str, Any]:
    return traverse_util.unflatten_dict(dict(weights), sep="/")


def _float32(module: nn.Module) -> nn.Module:
    return module.clone(dtype=jnp.float32) if hasattr(module, "dtype") else module


def _in_float32(recipe: GanRecipe) -> GanRecipe:
    fields = {f.name: getattr(recipe, f.name) for f in dataclasses.fields(recipe)}
    own = {k: _float32(x) for k, x in fields.items() if isinstance(x, nn.Module)}
    return dataclasses.replace(recipe, **own)


def _shape(*shape: Any, dtype: Any = jnp.float32) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, dtype)


def _stored(
    sampler: Sampler, recipe: GanRecipe, variables: Mapping[str, Any], noise: Arrays, rows: Any
) -> dict[str, jax.ShapeDtypeStruct]:
    """The sentence vectors of a run that was trained on stored ones. No file of a run tells their
    width; only one fits its weights, of which a layer reads the sentence, alone or beside noise.
    """
    if sampler.config.data.get("text") != "embeddings":
        return {}
    weights = traverse_util.flatten_dict(dict(variables), sep="/")
    sides = {x.shape[-2] for x in weights.values() if x.ndim > 1}
    beside = {0, *(shape[-1] for shape in recipe.noise_shapes.values())}
    for width in sorted({side - other for side in sides for other in beside if side > other}):
        text = {SENTENCE: _shape(rows, width)}
        try:
            jax.eval_shape(_generate(recipe), weights, {**noise, **text})
        except (FlaxError, TypeError, ValueError, AssertionError):  # as the layer that reads it
            continue
        return text
    raise ValueError("no width of stored embeddings fits the generator's weights")
