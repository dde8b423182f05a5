"""Plan, cut, blend: geometry on arrays. Knows neither STAC nor torch nor a coordinate system."""
