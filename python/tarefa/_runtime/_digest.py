"""The function that digests are made with, without the library of many others around it.

``hashlib`` loads OpenSSL, which takes longer than all else that a first process needs.
"""

from __future__ import annotations

try:
    from _blake2 import blake2b
except ImportError:  # an interpreter that has it elsewhere
    from hashlib import blake2b

__all__ = ["blake2b"]
