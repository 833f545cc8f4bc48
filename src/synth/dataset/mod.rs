//! Sets of samples for training and testing: pairs, displacement fields, small windows.
//!
//! A set is decided by a [`spec::SetSpec`] and the base images: the same ones give the same bytes, in one run or in several,
//! on any number of threads. [`run::SetJob`] makes it.
pub mod bases;
mod coregister;
pub mod library;
mod overview;
pub(crate) mod queue;
pub mod radar;
pub mod run;
pub mod sample;
pub mod spec;
pub mod store;
pub mod windows;
