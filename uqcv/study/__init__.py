"""Campaigns with many samplers and seeds, at equal budgets, and what became of them."""
