//! The authority on a socket, and a gRPC client on a connection of its own.

use std::{
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use http::{Request, Response};
use hyper::{body::Incoming, client::conn::http2::SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::body::Body;

use crate::stack::Stack;
use proto::{
    dev::sigstore::fulcio::v2::ca_client::CaClient, grpc::health::v1::health_client::HealthClient,
};

/// The caller's side of what `build.rs` makes of the protocol.
pub(crate) mod proto {
    #![expect(clippy::pedantic, unreachable_pub, reason = "generated")]

    include!(concat!(env!("OUT_DIR"), "/client/mod.rs"));
}

/// A listening authority; it ends with this value.
pub(crate) struct GrpcServer {
    pub(crate) address: SocketAddr,
    _shutdown: DropGuard,
}

impl GrpcServer {
    pub(crate) async fn of(stack: &Stack) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        tokio::spawn(server::serve(vec![listener], stack.router.clone(), shutdown.clone()));
        Self { address, _shutdown: shutdown.drop_guard() }
    }

    pub(crate) async fn connect(&self) -> Connection {
        let stream = TokioIo::new(TcpStream::connect(self.address).await.unwrap());
        let executor = TokioExecutor::new();
        let (sender, connection) =
            hyper::client::conn::http2::handshake(executor, stream).await.unwrap();
        tokio::spawn(connection);
        Connection(sender)
    }

    pub(crate) async fn client(&self) -> CaClient<Connection> {
        CaClient::with_origin(self.connect().await, self.origin().parse().unwrap())
    }

    pub(crate) async fn health(&self) -> HealthClient<Connection> {
        HealthClient::with_origin(self.connect().await, self.origin().parse().unwrap())
    }

    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// One HTTP/2 connection.
#[derive(Clone)]
pub(crate) struct Connection(pub(crate) SendRequest<Body>);

impl tower::Service<Request<Body>> for Connection {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = hyper::Result<Response<Incoming>>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}
