//! Pairs of images with exactly known displacement.
