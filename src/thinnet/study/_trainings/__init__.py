"""One training, and the processes that run many."""
