"""The unified network: encoders → fusion → shared latent → heads."""
