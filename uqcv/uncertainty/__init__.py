"""Uncertainties on latent features: mixtures, pooling, calibration and their metrics."""
