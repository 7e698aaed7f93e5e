"""Pages of notebooks: texts, code, and what was printed and drawn."""

import json

from scripts.docs.notebook_page import notebook_page

CELLS = [
    {"cell_type": "markdown", "source": ["# Takes\n", "of a song"]},
    {
        "cell_type": "code",
        "source": "print(1)",
        "outputs": [
            {"output_type": "stream", "text": ["1\n"]},
            {
                "output_type": "display_data",
                "data": {"image/png": "QUJD\n", "text/plain": "F"},
            },
        ],
    },
    {"cell_type": "code", "source": "", "outputs": []},
]


def test_it_shows_texts_code_and_outputs_in_their_order() -> None:
    assert notebook_page(json.dumps({"cells": CELLS})) == (
        "# Takes\nof a song\n\n````python\nprint(1)\n````\n\n````text\n1\n````\n\n"
        "![output](data:image/png;base64,QUJD)\n"
    )
