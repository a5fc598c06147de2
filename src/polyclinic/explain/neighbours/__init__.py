"""Similar patients in the latent space."""
