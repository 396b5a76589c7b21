"""What the final fully connected layer learned, from the arrays of a run folder."""
