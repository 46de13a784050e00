"""``python -m t2i_jax.demo``: see `t2i_jax.commands.demo`."""

import sys

from t2i_jax.commands.demo import main

if __name__ == "__main__":
    sys.exit(main())
