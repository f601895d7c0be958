//! The timestamp authority as its callers see it, through the layers that all services share.

extern crate tsa as tsa;

#[cfg(test)]
mod certchain;
#[cfg(test)]
mod config;
#[cfg(test)]
mod der;
#[cfg(test)]
mod http_edges;
#[cfg(test)]
mod json;
#[cfg(test)]
mod operation;
#[cfg(test)]
mod support;
