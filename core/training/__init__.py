"""Everything that needs torch: networks, regimes, training, evaluation."""
