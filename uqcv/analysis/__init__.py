"""Trajectories, Ramachandran coverage, figures and reports."""
