//! A service that closes while the port that it is on goes on serving others.

use axum::{
    Router,
    extract::{Request, State},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use http::StatusCode;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::Failure;

/// The way into services, open until a shutdown begins. Clones are the same door.
#[derive(Debug, Clone)]
pub struct Door {
    closed: CancellationToken,
    within: TaskTracker,
}

impl Door {
    /// One that closes with `shutdown`.
    #[must_use]
    pub fn new(shutdown: CancellationToken) -> Self {
        Self { closed: shutdown, within: TaskTracker::new() }
    }

    /// Puts the door before the routes of `router`: who comes after it has closed is told
    /// [`Failure::ShuttingDown`], in the form of the protocol around it.
    pub fn before(&self, router: Router) -> Router {
        router.layer(from_fn_with_state(self.clone(), enter))
    }

    /// Waits until it has closed and who was let in has an answer.
    pub async fn emptied(&self) {
        self.closed.cancelled().await;
        self.within.close();
        self.within.wait().await;
    }

    /// How many are within.
    #[must_use]
    pub fn within(&self) -> usize {
        self.within.len()
    }
}

async fn enter(State(door): State<Door>, request: Request, next: Next) -> Response {
    // Counted first: who is not seen by those who wait sees that it has closed.
    let _within = door.within.token();
    if door.closed.is_cancelled() {
        let mut response = StatusCode::SERVICE_UNAVAILABLE.into_response();
        response.extensions_mut().insert(Failure::ShuttingDown);
        return response;
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use axum::{body::Body, routing::get};
    use tokio::sync::Notify;
    use tower::ServiceExt;

    use super::*;
    use crate::{Protocol, harden};

    #[tokio::test]
    async fn who_was_let_in_is_answered_and_who_comes_later_is_told() {
        let (shutdown, go_on, entered) =
            (CancellationToken::new(), Arc::new(Notify::new()), Arc::new(Notify::new()));
        let door = Door::new(shutdown.clone());
        let slow = {
            let (go_on, entered) = (Arc::clone(&go_on), Arc::clone(&entered));
            get(async move || {
                entered.notify_one();
                go_on.notified().await;
                "done"
            })
        };
        let render = |failure: &Failure| (failure.status(), failure.to_string()).into_response();
        let timeout = Duration::from_mins(1);
        let protocol = Protocol { name: "test", body_limit: 1, timeout, render };
        let router = harden(door.before(Router::new().route("/slow", slow)), protocol);
        let ask = || router.clone().oneshot(Request::get("/slow").body(Body::empty()).unwrap());

        let first = tokio::spawn(ask());
        entered.notified().await;
        shutdown.cancel();
        let late = ask().await.unwrap();
        assert_eq!(
            (late.status().as_u16(), late.headers()["retry-after"].as_bytes()),
            (503, &b"1"[..])
        );
        let waiting = tokio::spawn({
            let door = door.clone();
            async move { door.emptied().await }
        });
        tokio::task::yield_now().await;
        assert_eq!((door.within(), waiting.is_finished()), (1, false));
        go_on.notify_one();
        assert_eq!(first.await.unwrap().unwrap().status(), 200);
        waiting.await.unwrap();
        assert_eq!(door.within(), 0);
    }
}
