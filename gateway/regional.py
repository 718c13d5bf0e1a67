"""Composition of what has to do with regions: catalog, discovery, links to peers, placement, the relay, resumption."""
