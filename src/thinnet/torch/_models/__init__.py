"""Tools for whole models: replace and restore, seed and step, schedule, summary."""
