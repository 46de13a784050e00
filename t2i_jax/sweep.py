"""``python -m t2i_jax.sweep``: see `t2i_jax.sweeps.command_line`."""

import sys

from t2i_jax.sweeps.command_line import main

if __name__ == "__main__":
    sys.exit(main())
