"""What follows from what was seen. Pure: observations in, causes out."""
