"""Reference methods: energies and forces to learn from, and the data sets that they start."""
