"""A comparison as a frame: every figure of every pair of models, with its interval."""


def test_a_frame_has_all_figures_with_their_intervals(comparison):
    frame = comparison.to_frame()
    maps = frame[frame.table == "All ordered pairs"].set_index(["from", "to", "figure"])
    for pair in comparison.pairs.values():
        names = [comparison.models[i].label for i in (pair.source, pair.target)]
        found = maps.loc[(*names, "L_mse"), ["value", "low", "high"]]
        assert found.tolist() == [*pair.figures.l_mse]
    titles = {table.title for table in comparison.tables()}
    assert titles - {"What the indexes see"} == {*frame.table}
