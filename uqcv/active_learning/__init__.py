"""Selection of frames, the state of a campaign, and the loop that runs it."""
