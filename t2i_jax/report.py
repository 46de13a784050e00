"""``python -m t2i_jax.report``: see `t2i_jax.commands.report`."""

import sys

from t2i_jax.commands.report import main

if __name__ == "__main__":
    sys.exit(main())
