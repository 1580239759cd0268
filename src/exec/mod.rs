//! exec
pub mod devices;
