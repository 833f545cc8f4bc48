//! The C interface as C and C++ programs meet it: compiled against `include/` and the library of this build.

#[path = "../common/mod.rs"]
mod common;

mod abi;
mod arrays;
mod build;
mod contract;
mod dislocation;
mod examples;
mod features;
