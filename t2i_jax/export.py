"""``python -m t2i_jax.export``: see `t2i_jax.commands.export`."""

import sys

from t2i_jax.commands.export import main

if __name__ == "__main__":
    sys.exit(main())
