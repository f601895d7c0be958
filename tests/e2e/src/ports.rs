//! Ports for services that are told theirs.

use std::{
    net::{Ipv4Addr, TcpListener},
    sync::{
        LazyLock,
        atomic::{AtomicU16, Ordering},
    },
};

/// A port that nobody listens on, and that no other call of this process gives.
///
/// Below those that the system hands out: a port that it gave and took back may be the other end of anybody's
/// connection by the time when its service starts, or starts again.
#[must_use]
pub fn free_port() -> u16 {
    /// Runs at the same time begin apart.
    static NEXT: LazyLock<AtomicU16> = LazyLock::new(|| {
        let place = u16::try_from(std::process::id() % 200).unwrap_or_default();
        AtomicU16::new(10_000 + 100 * place)
    });
    loop {
        let port = NEXT.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok() {
            return port;
        }
    }
}
