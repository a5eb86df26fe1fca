"""The rows of the catalogue, by what they act on; `thinnet.variants.catalogue` joins them."""
