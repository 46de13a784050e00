#!/usr/bin/env bash
# jax2onnx 0.17.1 with jax 0.10.2 and onnxruntime 1.32.0: jax.nn.one_hot, as text encoders and
# class-conditional networks begin with.
#
# Surprise: the row of a negative index, which is how padding or "no class" is often written, is all
# zeros in JAX. In the exported model it is the one-hot row counted from the end, because ONNX's
# OneHot reads indices so. No error, no warning. Indices past the end are zeros in both.
# Expected for the indices -1, 0, 2, 3 of 3 classes: 000, 100, 001, 000. Seen in ONNX: 001 first.
# Hurt is whoever exports a network with padded ids: padding becomes the last word or class. t2i_jax
# compares ids with a range of numbers instead, which is exported as it is, and compares what an
# exported model draws with what the run draws.
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

ids = np.array([-1, 0, 2, 3], np.int32)
FORMS = {
    "one_hot": lambda ids: jax.nn.one_hot(ids, 3),
    "compared": lambda ids: (ids[:, None] == jnp.arange(3)).astype(jnp.float32),
}
rows = {}
for name, form in FORMS.items():
    model = jax2onnx.to_onnx(form, [jax.ShapeDtypeStruct(ids.shape, ids.dtype)])
    session = onnxruntime.InferenceSession(model.SerializeToString())
    found = session.run(None, {session.get_inputs()[0].name: ids})[0]
    for where, values in (("jax", form(ids)), ("onnx", found)):
        rows[name, where] = ["".join(str(int(x)) for x in row) for row in values]
        print(f"{name:<8} {where:<4}", *rows[name, where])
right = ["000", "100", "001", "000"]
assert rows["one_hot", "jax"] == rows["compared", "jax"] == rows["compared", "onnx"] == right
assert rows["one_hot", "onnx"] == ["001", "100", "001", "000"], "negative ids are zeros now"
PY
echo "as described"
