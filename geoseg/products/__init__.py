"""What a map is handed over as: mask codes, GeoTIFFs, areas, a picture and the record of the run.

Knows masks and grids, never a model or a catalogue.
"""
