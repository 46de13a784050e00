"""BERT against the `transformers` library itself (the extra "peers", ``launch/test_peers.sh``)."""

import numpy as np
import pytest

from t2i_jax.interop import bert, packages

from . import bert_reference as reference

pytest.importorskip("transformers")


def compare(folder, ids, mask, states):
    module, variables = bert.read(folder)
    text = module.apply(variables, ids.astype(np.int32), mask)
    np.testing.assert_allclose(text.words[mask], states[mask], atol=1e-4)


@pytest.mark.parametrize("safe", [True, False])
@pytest.mark.parametrize("variant", reference.VARIANTS)
def test_folders_that_transformers_writes_are_read(tmp_path, variant, safe):
    model = reference.tiny(variant, tmp_path, safe)
    ids, mask = reference.rows()
    compare(tmp_path, ids, mask, reference.states(model, ids, mask))


def test_real_minilm():
    try:
        folder = packages.folder("minilm")
    except FileNotFoundError as error:
        pytest.skip(str(error))
    found = reference.minilm(str(folder))
    compare(folder, found["ids"], found["mask"], found["states"])
