//! What every Countersign HTTP service shares.
//!
//! A service exports a plain `axum::Router` and a [`Protocol`]; the server
//! wraps the router with [`harden`] and runs it with [`serve`]. Everything that
//! must be right once for all services lives here: limits, time-outs, request
//! ids, panics, metrics, health, connection handling, time, and the threads on
//! which keys are used.
//!
//! It refuses to: know any protocol's error body (that is [`Protocol::render`]) but gRPC's, which is
//! the same for all,
//! read a body without a limit, put a raw path or anything a caller chose into
//! a metric label, or sign on a runtime thread.
//!
//! - [`Clock`]: [`SystemClock`], [`OffsetClock`], [`FixedClock`].
//! - [`CpuPool`]: signing and verifying off the runtime. [`SigningKey`], [`Record`]: the one path to a signature.
//! - [`harden`], [`Protocol`], [`Failure`], [`read_body`], [`RequestId`]: one request.
//! - [`is_grpc`], [`read_unary`], [`GrpcError`]: one gRPC call.
//! - [`serve`], [`ServeLimits`]: connections. [`CallerAddress`], [`TrustedProxies`]: who is at their other end.
//! - [`by_host`]: services that share a port.
//! - [`bounded`]: files within limits.
//! - [`Readiness`], [`health_routes`], [`metrics_routes`]: operation.

mod activity;
mod body;
pub mod bounded;
mod caller;
mod clock;
mod cpu;
mod grpc;
mod harden;
mod health;
mod hosts;
mod metrics;
mod path;
mod protocol;
mod serve;
mod sign;

pub use body::read_body;
pub use caller::{CallerAddress, NetworkError, TrustedProxies};
pub use clock::{Clock, FixedClock, OffsetClock, SystemClock};
pub use cpu::{CpuPool, Overloaded};
pub use grpc::{GrpcError, has_grpc_content_type, is_grpc, read_unary};
pub use harden::{RequestId, harden};
pub use health::{CheckFuture, Readiness, ReadinessReport, health_routes};
pub use hosts::by_host;
pub use metrics::{MetricsError, MetricsHandle, install_metrics, metrics_routes};
pub use protocol::{Failure, Protocol};
pub use serve::{ServeLimits, serve, serve_behind, serve_with};
pub use sign::{KeyUse, Record, SignError, SigningKey, Step};
