"""Hyperparameter sweeps for fine-tuning transformers: the program `lorasweep`, with nothing to import."""
