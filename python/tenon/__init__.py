"""Run .tenon artifacts on NumPy arrays. See InferenceSession.

An artifact holds native code: run only files you trust, as you would a shared library.
"""

from ._library import Code, Error, library_version
from ._session import InferenceSession, NodeArg

__version__ = "0.1.0"
__all__ = ["Code", "Error", "InferenceSession", "NodeArg", "library_version"]
