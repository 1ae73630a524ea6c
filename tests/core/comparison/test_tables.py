"""A comparison as a frame: every figure of every pair of models, with its interval."""


def test_a_frame_has_the_intervals_that_a_terminal_has_no_room_for(comparison):
    frame = comparison.to_frame()
    maps = frame[frame.table == "All ordered pairs"].set_index(["from", "to", "figure"])
    for pair in comparison.pairs.values():
        names = [comparison.models[i].label for i in (pair.source, pair.target)]
        found = maps.loc[(*names, "L_mse"), ["value", "low", "high"]]
        assert found.tolist() == [*pair.figures.l_mse]
    assert {table.title for table in comparison.whole_tables()} == {*frame.table}
