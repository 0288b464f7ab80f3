"""Large symmetric positive definite matrices, tile by tile, wherever the tiles are computed."""
