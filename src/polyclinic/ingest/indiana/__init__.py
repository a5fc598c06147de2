"""The Indiana chest X-ray reports (OpenI)."""
