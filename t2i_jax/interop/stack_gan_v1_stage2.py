"""Files of StackGAN-v1's Stage II, whose generator brings Stage I along: `interop.stack_gan_v1`."""

from t2i_jax.interop import files
from t2i_jax.interop.stack_gan_v1 import import_discriminator, import_stage2
from t2i_jax.interop.state_dict import StateDict
from t2i_jax.models.stack_gan_v1 import Stage2Generator


def import_generator(state: StateDict) -> tuple[Stage2Generator, dict]:
    """(Stage II, variables with the collection "stage1"); raises ValueError as `import_stage2`."""
    _, module, variables = import_stage2(state)
    return module, variables


PARTS = {
    "generator": files.reader(import_generator, *files.GENERATOR),
    "discriminator": files.reader(import_discriminator, *files.DISCRIMINATOR),
}
