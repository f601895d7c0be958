//! The HTTP server that every service runs in.
//!
//! A service exports a plain `axum::Router` and a [`Protocol`]; the program wraps the router with
//! [`harden`] and runs it with [`serve`]. What must be right once for all services on their way from
//! a socket to a handler is here: limits, time-outs, request ids, panics, metrics, health, connections.
//!
//! It refuses to: know any protocol's error body (that is [`Protocol::render`]) but gRPC's, which is
//! the same for all, read a body without a limit, put a raw path or anything a caller chose into
//! a metric label, or know a key (that is the crate `signing`).
//!
//! - [`harden`], [`Protocol`], [`Failure`], [`read_body`], [`discard_body`], [`RequestId`]: one request.
//! - [`is_grpc`], [`read_unary`], [`GrpcError`]: one gRPC call.
//! - [`in_pages`]: long answers.
//! - [`serve`], [`ServeLimits`], [`connections_of_each`]: connections. [`serve_current`]: routes that change. [`CallerAddress`], [`TrustedProxies`]: who is at their other end.
//! - [`within_limits`], [`PeerLimits`], [`IdentityLimits`]: how much one caller may write.
//! - [`by_host`]: services that share a port, each by its [`Host`].
//! - [`Door`]: a service that closes before its port does.
//! - [`bounded`]: files within limits.
//! - [`Readiness`], [`health_routes`], [`metrics_routes`]: operation.

mod activity;
mod answers;
mod body;
pub mod bounded;
mod caller;
mod connections;
mod descriptors;
mod door;
mod grpc;
mod harden;
mod health;
mod hosts;
mod limits;
mod meter;
mod metrics;
mod protocol;
mod serve;
mod shares;

pub use answers::{PAGE_LEN, in_pages};
pub use body::{discard_body, read_body};
pub use caller::{CallerAddress, NetworkError, TrustedProxies};
pub use descriptors::connections_of_each;
pub use door::Door;
pub use grpc::{GrpcError, has_grpc_content_type, is_grpc, read_unary};
pub use harden::{RequestId, harden};
pub use health::{CheckFuture, Readiness, ReadinessReport, health_routes};
pub use hosts::{Host, by_host};
pub use limits::{Allowance, IdentityLimits, Limited, PeerLimits, Rate, within_limits};
pub use metrics::{
    MetricsError, MetricsHandle, install_metrics, metrics_routes, show_chain_end, show_ready,
    show_reload,
};
pub use protocol::{Failure, Protocol};
pub use serve::{Answering, ServeLimits, serve, serve_behind, serve_current, serve_with};
