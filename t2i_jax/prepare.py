"""``python -m t2i_jax.prepare``: see `t2i_jax.commands.prepare`."""

import sys

from t2i_jax.commands.prepare import main

if __name__ == "__main__":
    sys.exit(main())
