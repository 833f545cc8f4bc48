//! The matching methods.
