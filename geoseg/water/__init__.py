"""What is flood and what is not: reference water, mask codes, areas."""
