"""`uqcv benchmark uq`: which uncertainty tells best where a potential errs, on the data of the user."""
