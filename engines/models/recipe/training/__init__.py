"""From shards of features to weights: tokeniser, network, batches, the two training programs."""
