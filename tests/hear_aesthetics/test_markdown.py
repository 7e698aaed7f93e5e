from hear_aesthetics.markdown import markdown_table


def test_a_table_has_a_header_a_rule_and_a_line_per_row():
    assert markdown_table(["row", "n"], [["a", 1], ("b", 2)]).splitlines() == [
        "| row | n |",
        "| --- | --- |",
        "| a | 1 |",
        "| b | 2 |",
    ]


def test_numbers_end_at_the_right():
    assert markdown_table(["row", "x", "y"], [], numbers=True).endswith("| --- | ---: | ---: |")
