"""Everything Keras: the image classifier, its networks, and the engine that trains them."""
