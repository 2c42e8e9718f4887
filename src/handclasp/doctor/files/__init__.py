"""What files of certificates and keys are, how they belong together, and what is wrong with them."""
