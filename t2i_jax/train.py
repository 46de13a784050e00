"""``python -m t2i_jax.train``: see `t2i_jax.commands.train`.

Imported, it is the function of that name (`t2i_jax.api.train`), which a module would hide.
"""

import sys

if __name__ == "__main__":
    from t2i_jax.commands.train import main

    sys.exit(main())
if __name__ == "t2i_jax.train":  # not in a process that multiprocessing has spawned
    from t2i_jax.api import train

    sys.modules[__name__] = train
