"""Whole models: replace, schedule, summary."""
