"""Network definitions only: what they are trained for and how they are used stands elsewhere."""
