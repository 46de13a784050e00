"""``python -m t2i_jax.sweep`` from a checkout: see `t2i_jax.sweeps.command_line`."""

from t2i_jax.sweeps.command_line import main

if __name__ == "__main__":
    main()
