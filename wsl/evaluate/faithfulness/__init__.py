"""Is the map right? What the classifier says of changed images, where the maximum lies, what random weights give."""
