//! Sets of samples for training and testing.
pub mod bases;
