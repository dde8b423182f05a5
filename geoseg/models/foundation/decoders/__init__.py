"""From an encoder's maps to logits."""
