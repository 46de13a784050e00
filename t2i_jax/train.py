"""``python -m t2i_jax.train``: see `t2i_jax.commands.train`."""

import sys

from t2i_jax.commands.train import main

if __name__ == "__main__":
    sys.exit(main())
