"""``python -m t2i_jax.benchmark``: see `t2i_jax.commands.benchmark`."""

import sys

from t2i_jax.commands.benchmark import main

if __name__ == "__main__":
    sys.exit(main())
