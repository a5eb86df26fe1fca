"""The rows of the catalogue, by what they act on; `thinnet.variants._catalogue` joins them."""
