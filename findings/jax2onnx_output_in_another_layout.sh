#!/usr/bin/env bash
# jax2onnx 0.17.1 with jax 0.10.2 and onnxruntime 1.32.0: a generator of images in two sizes, of
# which the small one (NHWC) is an output and also what the next convolution reads.
#
# Surprise: the small image comes out as NCHW, [N, 3, H, W] instead of [N, H, W, 3], without an error
# or a warning; the large one is right. Where square images have as many pixels a side as channels,
# not even the shape tells. ONNX's convolution reads NCHW, and the transpose back is left out.
# Without anything between the convolution and the output the model is invalid instead: it names an
# output that its graph does not have. A barrier (jax.lax.optimization_barrier) cures both.
# Hurt is whoever exports networks of several stages, such as StackGAN++ or AttnGAN. t2i_jax puts
# that barrier around every output and compares what the model draws with what the run draws.
set -euo pipefail
WORK="$(mktemp -d)"
trap 'rm -rf "$WORK"' EXIT
python3 -m venv "$WORK/venv"
# jax2onnx without its dependencies: it asks for an older orbax-checkpoint and a viewer.
"$WORK/venv/bin/pip" install --quiet --only-binary :all: jax==0.10.2 jaxlib==0.10.2 numpy==2.2.6 \
  flax==0.12.8 equinox==0.13.8 dm-pix==0.4.5 onnx==1.23.2 onnx-ir==1.1.0 onnxruntime==1.32.0
"$WORK/venv/bin/pip" install --quiet --no-deps --only-binary :all: jax2onnx==0.17.1
JAX_PLATFORMS=cpu "$WORK/venv/bin/python" - <<'PY'
import jax
import jax.numpy as jnp
import jax2onnx
import numpy as np
import onnxruntime

random = np.random.default_rng(0)
first = random.normal(size=(3, 3, 2, 3)).astype(np.float32)
second = random.normal(size=(3, 3, 3, 4)).astype(np.float32)
x = random.normal(size=(2, 6, 6, 2)).astype(np.float32)


def conv(x, kernel):
    return jax.lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def generator(activation, form):
    def draw(x):
        small = activation(conv(x, first))
        return form(small), form(conv(small, second))

    return draw


def exported(draw):
    model = jax2onnx.to_onnx(draw, [jax.ShapeDtypeStruct(x.shape, x.dtype)])
    made = {name for node in model.graph.node for name in node.output}
    missing = [output.name for output in model.graph.output if output.name not in made]
    if missing:
        return f"outputs that no node makes: {len(missing)}"
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, {session.get_inputs()[0].name: x})


def same(a, b):
    return a.shape == b.shape and bool(np.allclose(a, b, atol=1e-4))


CASES = {
    "tanh": (jnp.tanh, lambda x: x),
    "stop_gradient": (jax.lax.stop_gradient, lambda x: x),
    "nothing between": (lambda x: x, lambda x: x),
    "tanh, barrier": (jnp.tanh, jax.lax.optimization_barrier),
    "nothing, barrier": (lambda x: x, jax.lax.optimization_barrier),
}
for name, case in CASES.items():
    small, large = generator(*case)(x)
    found = exported(generator(*case))
    print(f"{name}:", found if isinstance(found, str) else [image.shape for image in found])
    if name == "nothing between":
        assert isinstance(found, str), "the model is valid now"
        continue
    assert same(found[1], large)
    turned = found[0] if "barrier" in name else found[0].transpose(0, 2, 3, 1)
    assert same(turned, small), "the small image has another layout now"
PY
echo "as described"
