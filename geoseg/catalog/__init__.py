"""What exists: sensors, collections, data sets and model cards - typed records read from ``data_catalog/``."""
