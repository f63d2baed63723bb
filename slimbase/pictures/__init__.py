"""Picture files: finding, recognizing and decoding them."""
