"""HTTP as such, whatever the path: connections, bounds, encodings, whose pages may ask."""
