"""Modules: torch's dropouts with torch's arguments, and others under their usual names.

`activations` holds the modules between layers, `branches` those of residual branches, `attention` those of
attention, `embeddings` those of tokens, `recurrent` cells and layers, `weights` the wrappers that drop
weights, and `learned` the modules that learn or compute their rates.
"""
