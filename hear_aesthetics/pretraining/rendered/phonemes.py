"""Phonemes that labels tell apart.

They are espeak-ng's in all languages, as far as the texts that are read hold them four times or
more. Labels hold their places in this list: pools of another order are of no use with it.
"""

__all__ = ["INVENTORY", "PAUSE", "PHONEMES"]

PAUSE = 0
SPOKEN = """
a t n k r l s e m o i p ɛ d b ə v u ɾ j ɪ f ɔ ʃ z ɡ ʁ ʌ ʊ ɹ iː ɐ ɑ ʲ ŋ tʃ ʒ w ɨ y h x aː ɲ ɑː eɪ eː
ts ɭ æ dʒ oː uː tʲ tɕ ɚ ɜ ɯ ð ʎ œ β aɪ ɣ ɫ ɕ ɔ̃ øː ɑ̃ ɵ oʊ ɛː ç ɟ ʋ θ aʊ c ø ɐ̃ ɛ̃ tʃʲ r̝ əl œy dʑ
dʲ ʌʊ yː ʑ ɛɪ mʲ r̩ sx ɐ̃ʊ ʉ ja sʲ œ̃ ɔː r̝̊ ʏ a- ɑːɹ ɔø ɔɪ ɔːɹ iʊ l̩ pf ə- ɪ^ ᵻ
"""  # noqa: RUF001
INVENTORY = ("", *SPOKEN.split())  # a pause has no name
PHONEMES = len(INVENTORY)
