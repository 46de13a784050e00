"""``python -m t2i_jax.sample``: see `t2i_jax.commands.sample`."""

import sys

from t2i_jax.commands.sample import main

if __name__ == "__main__":
    sys.exit(main())
