"""Parts of `launch/step_ratios.py`, which says what they are for."""
