"""Networks and classical baselines behind one protocol. Knows tensors and cards; knows no geography."""
