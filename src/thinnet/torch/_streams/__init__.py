"""Where a module's key comes from, and which part of an array a tensor is."""
