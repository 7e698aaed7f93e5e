"""Page of the service: songs dropped, scored, heard, compared and looked into; made with Gradio."""

from importlib.util import find_spec

from hear_aesthetics.errors import InputError

__all__ = ["check_gradio"]


def check_gradio() -> None:
    """Check that Gradio is installed; importing it takes seconds.

    Raises:
        InputError: If it is not.
    """
    if find_spec("gradio") is None:
        raise InputError(
            'the page needs Gradio: `pip install "hear-aesthetics[web]"`, or serve with --no-page'
        )
