//! Networks: what they take as input.
//!
//! | file | what |
//! |---|---|
//! | [`features`] | the front end `dense-1`: images and least-squares candidates as channels |
pub mod features;
