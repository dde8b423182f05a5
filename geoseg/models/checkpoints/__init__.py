"""Published weights: fetched, read without running anything in them, and matched strictly by name and shape."""
