//! Simulated interferograms and GNSS series: statistics of every noise, the truth, sets that are the same again.
#[path = "../common/mod.rs"]
mod common;
#[path = "../oracle/mod.rs"]
mod oracle;

mod noise;
mod scene;
mod sets;
