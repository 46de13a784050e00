"""``python -m t2i_jax.evaluate``: see `t2i_jax.commands.evaluate`."""

import sys

from t2i_jax.commands.evaluate import main

if __name__ == "__main__":
    sys.exit(main())
