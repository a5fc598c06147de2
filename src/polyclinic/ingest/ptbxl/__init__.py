"""PTB-XL, a collection of electrocardiograms with statements."""
