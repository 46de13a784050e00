"""RAT-GAN at its published 256 px, few channels: both generators, both discriminators; and the text
encoder.
"""

import jax
import numpy as np

from parity import _rat_gan
from parity._compare import close, section
from t2i_jax.interop.damsm import import_text_encoder


def text_encoder(golden):
    """Word features, which the networks do not read, and sentence vectors."""
    encoder, variables = import_text_encoder(section(golden, "T/"))
    ids, lengths = golden["T_in/captions"], golden["T_in/lengths"]
    text = jax.jit(encoder.apply)(variables, ids, np.arange(ids.shape[1]) < lengths[:, None])
    close(np.swapaxes(text.words, 1, 2), golden["T_out/words"], "words")
    close(text.sentence, golden["T_out/sent"], "sentence")


CASES = _rat_gan.CASES | {"attention": _rat_gan.attention, "text_encoder": text_encoder}
