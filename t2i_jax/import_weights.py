"""``python -m t2i_jax.import_weights``: see `t2i_jax.commands.import_weights`."""

import sys

from t2i_jax.commands.import_weights import main

if __name__ == "__main__":
    sys.exit(main())
