//! Error measures of an estimated displacement map against truth.
