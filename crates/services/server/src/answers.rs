//! Answers within budgets: counted until their last byte has left, and read in pages where they are long.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{BoxError, body::Body, response::Response};
use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use http::StatusCode;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use crate::{
    Failure,
    meter::{Size, Taken},
    shares::Shares,
};

/// Most that one page of an answer should have. One entry may have more.
pub const PAGE_LEN: usize = 64 * 1024;

/// What is taken for any answer before there is one: nearly all have less.
const USUAL: usize = 8 * 1024;

/// What an answer in pages is taken for: the page that hyper has, and the one that waits for it.
const IN_PAGES: usize = 2 * PAGE_LEN;

/// A body of many pages, of which the next is made when its peer has taken the last. One that is no longer than a page
/// has its length, as any other answer.
///
/// # Errors
/// That of the first page, while there is still a status to say it with. One that comes later ends the connection:
/// no client of HTTP/1.1 or 2 takes a body that breaks off for a whole one. Over HTTP/1.0 what shows no end of its own, as
/// JSON does, needs a `Content-Length` from whoever calls this.
pub async fn in_pages<E>(
    pages: impl Stream<Item = Result<Bytes, E>> + Send + 'static,
) -> Result<Body, E>
where
    E: Into<BoxError> + Send + 'static,
{
    let mut pages = Box::pin(pages);
    let mut begun = Vec::new();
    while begun.iter().map(Bytes::len).sum::<usize>() < PAGE_LEN {
        let Some(page) = pages.next().await.transpose()? else { return Ok(joined(begun).into()) };
        begun.push(page);
    }
    let rest = pages.map_err(|error| {
        let error = error.into();
        tracing::warn!(error = %error, "an answer breaks off");
        error
    });
    Ok(Body::from_stream(stream::iter(begun.into_iter().map(Ok)).chain(rest)))
}

fn joined(mut pages: Vec<Bytes>) -> Bytes {
    match pages.pop() {
        Some(only) if pages.is_empty() => only,
        Some(last) => pages.into_iter().chain([last]).collect::<Vec<_>>().concat().into(),
        None => Bytes::new(),
    }
}

/// Room for an answer, before anything is done for it.
pub(crate) struct Room(Taken);

impl Room {
    /// Takes it, or [`Failure::Overloaded`].
    pub(crate) fn within(shares: &Shares) -> Result<Self, Failure> {
        shares.answers.take(USUAL, Size::Small).map(Self).ok_or(Failure::Overloaded)
    }

    /// Fills it with `response`, whose bytes count until they have left.
    ///
    /// An answer to something that was done for good (201) is never refused for its length, which that of the request
    /// has bounded: its caller would do it again.
    pub(crate) fn fill(self, response: Response, is_grpc: bool) -> Result<Response, Failure> {
        let Self(mut taken) = self;
        let length = match response.body().size_hint().exact() {
            Some(length) => usize::try_from(length).map_err(|_| Failure::Overloaded)?,
            // One message, of a length that nobody says.
            None if is_grpc => USUAL,
            None => IN_PAGES,
        };
        taken.shrink_to(length);
        let more = length.saturating_sub(taken.bytes());
        if more > 0
            && !taken.grow(more, Size::of(length))
            && response.status() != StatusCode::CREATED
        {
            return Err(Failure::Overloaded);
        }
        if length == 0 {
            return Ok(response);
        }
        Ok(response.map(|body| Body::new(Counted { body, taken: Arc::new(taken) })))
    }
}

/// A body whose frames hold their share wherever they wait: here, in hyper, in h2.
struct Counted {
    body: Body,
    taken: Arc<Taken>,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(context));
        let taken = &self.taken;
        let counted = |bytes: Bytes| {
            // A page of one long entry, whose other forms stand in JSON, is longer than a page should be.
            let beyond = bytes.len().saturating_sub(taken.bytes());
            Bytes::from_owner(Part { bytes, _taken: (Arc::clone(taken), taken.beside(beyond)) })
        };
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(counted))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

struct Part {
    bytes: Bytes,
    _taken: (Arc<Taken>, Taken),
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use axum::response::IntoResponse;

    use super::*;
    use crate::meter::Meter;

    fn shares(most: usize) -> Shares {
        let meter = || Arc::new(Meter::new(most));
        Shares { bodies: meter(), answers: meter() }
    }

    fn fill(shares: &Shares, response: Response) -> Result<Response, Failure> {
        Room::within(shares)?.fill(response, false)
    }

    #[tokio::test]
    async fn an_answer_counts_until_its_last_part_is_dropped() {
        let shares = shares(1 << 20);
        let long = || vec![0u8; 100_000].into_response();
        let answer = fill(&shares, long()).unwrap();
        assert_eq!(answer.headers()["content-type"], "application/octet-stream");
        assert_eq!(answer.body().size_hint().exact(), Some(100_000));
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        let end = bytes.slice(99_999..);
        drop(bytes);
        assert_eq!(shares.answers.taken(), 100_000);
        drop(end);
        assert_eq!(shares.answers.taken(), 0);
        drop(fill(&shares, ().into_response()).unwrap());
        assert_eq!(shares.answers.taken(), 0);
    }

    #[tokio::test]
    async fn an_answer_without_room_is_refused_unless_its_work_is_done_for_good() {
        let shares = shares(95_000);
        let held = fill(&shares, vec![0u8; 70_000].into_response()).unwrap();
        let long = || vec![0u8; 30_000].into_response();
        assert_eq!(fill(&shares, long()).err(), Some(Failure::Overloaded));
        let created = (StatusCode::CREATED, vec![0u8; 30_000]).into_response();
        assert!(fill(&shares, created).is_ok());
        let full = shares.answers.take(25_000, Size::Small).unwrap();
        assert_eq!(fill(&shares, "short".into_response()).err(), Some(Failure::Overloaded));
        drop((held, full));
        assert!(fill(&shares, long()).is_ok());
    }

    #[tokio::test]
    async fn the_first_page_may_fail_with_a_status_and_a_later_one_breaks_the_body_off() {
        let page = || Ok(Bytes::from_static(b"page"));
        let failed = || Err(std::io::Error::other("gone"));
        assert!(in_pages(stream::iter([failed(), page()])).await.is_err());
        let long = || Ok(Bytes::from(vec![0; PAGE_LEN]));
        assert!(in_pages(stream::iter([page(), failed()])).await.is_err());
        let body = in_pages(stream::iter([page(), long(), failed()])).await.unwrap();
        assert!(body.collect().await.is_err());
        let body = in_pages(stream::iter([page(), page()])).await.unwrap();
        assert_eq!(body.collect().await.unwrap().to_bytes(), "pagepage");
        let none = in_pages(stream::iter::<[std::io::Result<Bytes>; 0]>([])).await.unwrap();
        assert!(none.collect().await.unwrap().to_bytes().is_empty());
    }

    #[tokio::test]
    async fn pages_that_are_short_together_have_a_length_and_count_as_little() {
        let page = || Ok::<_, std::io::Error>(Bytes::from_static(b"page"));
        let body = in_pages(stream::iter([page(), page()])).await.unwrap();
        assert_eq!(body.size_hint().exact(), Some(8));
        let shares = shares(1 << 20);
        let answer = fill(&shares, body.into_response()).unwrap();
        assert_eq!(shares.answers.taken(), 8);
        drop(answer);
    }

    #[tokio::test]
    async fn a_page_that_is_longer_than_a_page_counts_with_all_its_bytes() {
        let shares = shares(1 << 20);
        let page = || Ok::<_, std::io::Error>(Bytes::from(vec![0; 2 * IN_PAGES]));
        let body = in_pages(stream::iter([page(), page()])).await.unwrap();
        let mut answer = fill(&shares, body.into_response()).unwrap();
        let page = answer.body_mut().frame().await.unwrap().unwrap();
        assert_eq!(shares.answers.taken(), 2 * IN_PAGES);
        drop(page);
        assert_eq!(shares.answers.taken(), IN_PAGES);
        drop(answer);
        assert_eq!(shares.answers.taken(), 0);
    }
}
