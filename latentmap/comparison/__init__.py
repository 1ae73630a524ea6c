"""How several spaces relate: similarity indexes, maps between all pairs, ways round, layout."""
