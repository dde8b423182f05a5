"""The hash of a file is SHA-256."""

from __future__ import annotations

import hashlib

from geoseg.core.hashing import file_sha256


def test_a_file_has_the_sha256_of_its_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"flood" * 100_000)
    assert file_sha256(tmp_path / "a") == hashlib.sha256(b"flood" * 100_000).hexdigest()
