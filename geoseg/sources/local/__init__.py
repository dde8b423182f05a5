"""A person's own files become a STAC catalogue: what is in them is decided here, once, or refused by name.

::

    paths -> discover     which files belong together: an order, a scene folder, one file
          -> Product      planetscope.py, sentinel2.py, plain.py: bands, numbers, time, masks - decided or refused
          -> item         the same in STAC's words
          -> store        catalog.json, items.json, items.parquet: merged, each file written whole
"""
