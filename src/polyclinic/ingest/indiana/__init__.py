"""The Indiana University chest X-ray collection (OpenI): `reader` of its XML reports and images."""
