//! The public API of `tsp`, against OpenSSL, the `cms` types and tokens of other authorities.

extern crate tsp as tsp;

#[cfg(test)]
mod chain;
#[cfg(test)]
mod openssl;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod request;
#[cfg(test)]
mod support;
#[cfg(test)]
mod token;
#[cfg(test)]
mod vectors;
#[cfg(test)]
mod verify;
