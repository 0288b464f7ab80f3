"""Where results live: bytes by their hash, unit records, manifests; and what keeps them honest and small."""
