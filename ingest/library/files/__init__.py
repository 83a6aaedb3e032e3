"""The files that documents come from: their bytes, their names, and what they say of themselves."""
