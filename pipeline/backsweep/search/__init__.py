"""Where the next points of a search come from: an optimiser library that is told of complete rounds alone."""
