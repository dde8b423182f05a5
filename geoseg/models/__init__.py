"""Networks and classical baselines behind one protocol. Knows tensors and cards; knows no geography."""

from geoseg.models.create import ModelRef as ModelRef
from geoseg.models.create import create_model as create_model
from geoseg.models.create import load_model as load_model
from geoseg.models.create import resolve_model as resolve_model
