"""Parts of `launch/gpu_check.py`, which says what they are for."""
