"""From a heat map to regions of an image, and how well they find lesions."""
