"""What is taken out of the training text: swear words, addresses, numbers that reach a person."""

import codecs
import re

# Stems in rot13, so that reading this file is no lesson in them. Whole words with common endings, not substrings.
_STEMS_ROT13 = (
    "shpx fuvg ovgpu onfgneq phag qvpx pbpx chffl jnax gjng nffubyr nefrubyr qhzonff wnpxnff onqnff nff tbqqnza "
    "qnza qnzzvg penc cvff qbhpur fyhg juber snt snttbg avttre avttn ergneq ubeal cbea cbeab obare gvggvrf gvgf "
    "obbof oybjwbo qvyqb cravf intvan frk frkl frkhny ahqr anxrq encr encvfg fuvggl ohyyfuvg zbgureshpx jgs ubzb "
    "qlxr genaal fcvp puvax xvxr fcrez betnfz znfgheong fgevccre cebfgvghgr fhvpvqr phpx"
)
_STEMS = sorted({codecs.decode(word, "rot13") for word in _STEMS_ROT13.split()})
PROFANE = re.compile(
    rf"\b(?:{'|'.join(_STEMS)})(?:s|es|ed|er|ers|ing|in|y|ty|head|heads|ed|ion|ions)?\b", re.IGNORECASE
)
ADDRESS = re.compile(r"\S+@\S+|https?:|www\.|\b[\w-]+\.(?:com|org|net|edu|io|gov|ly|me|co|tv)\b", re.IGNORECASE)
PHONE = re.compile(r"(?:\+?\d[\s().-]*){7,}")
_RUN = re.compile(r"(.)\1{4,}")


def clean_line(line: str) -> str:
    """One message, or "" when it holds a swear word, an e-mail or web address or a telephone-like number.

    A run of one character longer than four is cut to four ("noooooooo" teaches nothing that "noooo" does not).
    """
    if PROFANE.search(line) or ADDRESS.search(line) or PHONE.search(line):
        return ""
    return _RUN.sub(r"\1\1\1\1", line).strip()
