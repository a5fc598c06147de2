"""The PhysioNet/CinC Challenge 2012."""
