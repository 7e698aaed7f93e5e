"""Hidden states of clips and prompts from frozen encoders."""
