"""`polyclinic explain`: the verb, its target, the methods, and a view of each modality."""
