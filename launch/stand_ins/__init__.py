"""The systems of this library once more under torch, in small: what their train steps cost there.

`launch/step_ratios.py` measures our steps against these. A stand-in has the layers, the passes and
the losses of one of our configs, run as the authors' training loop runs them; its numbers do not
mean anything, for its weights and its data are random. Needs the extra "peers".
"""
