//! What is done with measurements after matching.
pub mod backward;
pub mod outlier;
