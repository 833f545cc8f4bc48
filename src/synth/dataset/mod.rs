//! Sets of samples for training and testing.
pub mod bases;
pub mod library;
pub mod radar;
pub mod sample;
pub mod spec;
pub mod windows;
