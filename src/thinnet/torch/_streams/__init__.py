"""Where the key of a module's call comes from, and which part of a global array a tensor is."""
