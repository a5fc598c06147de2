"""Medical knowledge as tables: conversions of units."""
