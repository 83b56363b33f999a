"""What uqcv costs, measured side by side on the user's machine."""
