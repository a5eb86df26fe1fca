"""Dropout that a forward calls as a function: a mode around the forward draws thinnet's masks instead."""
