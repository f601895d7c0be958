//! Without a verified SCT of the log there is no certificate.

use std::time::{Duration, Instant};

use http::header;

use crate::{
    ct_log::LogAnswer,
    stack::{Reply, Stack, Wishes},
};

async fn impatient() -> Stack {
    Stack::with(Wishes { settings: |config| config.ct.timeout_ms = 200, ..Wishes::default() }).await
}

/// A refusal that tells to come back, and gives nothing away.
#[track_caller]
fn come_back(reply: &Reply) {
    reply.refused(503, 14);
    let seconds: u64 = reply.headers[header::RETRY_AFTER].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds));
    assert!(!reply.text().contains("CERTIFICATE"));
}

#[tokio::test]
async fn a_log_that_is_down_is_503_with_retry_after() {
    let down = Stack::with(Wishes {
        // Nothing listens there: the port of a listener that is gone.
        settings: |config| {
            let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let url = format!("http://{}", gone.local_addr().unwrap());
            config.ct.url = url.parse().unwrap();
        },
        ..Wishes::default()
    })
    .await;
    come_back(&down.ask(&down.token()).await);
}

#[tokio::test]
async fn an_overloaded_or_broken_log_is_503() {
    for status in [408, 429, 500, 502, 503] {
        let stack = Stack::start().await;
        stack.log.answer(LogAnswer::Status(status));
        come_back(&stack.ask(&stack.token()).await);
    }
}

#[tokio::test]
async fn a_silent_log_is_503_after_the_deadline() {
    let stack = impatient().await;
    stack.log.answer(LogAnswer::Silence);
    let started = Instant::now();
    come_back(&stack.ask(&stack.token()).await);
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_log_that_refuses_or_babbles_is_500() {
    for answer in [
        LogAnswer::Status(400),
        LogAnswer::Status(404),
        LogAnswer::Status(302),
        LogAnswer::Text("OK"),
        LogAnswer::Text("{}"),
        LogAnswer::Text(
            r#"{"sct_version":0,"sct_version":0,"id":"AA==","timestamp":1,"signature":"AA=="}"#,
        ),
        LogAnswer::Text(r#"{"sct_version":0,"id":"AA==","timestamp":-1,"signature":"AA=="}"#),
        LogAnswer::Text(" ".repeat(1 << 20).leak()),
        LogAnswer::Text(r#"{"sct_version":1,"id":"AA==","timestamp":1,"signature":"AA=="}"#),
    ] {
        let stack = Stack::start().await;
        stack.log.answer(answer.clone());
        let refused = stack.ask(&stack.token()).await.refused(500, 13);
        assert!(refused.contains("no usable SCT"), "{answer:?}: {refused}");
    }
}

#[tokio::test]
async fn a_wrong_sct_is_never_embedded() {
    for answer in [LogAnswer::WrongSignature, LogAnswer::OtherLog, LogAnswer::OtherLogInDisguise] {
        let stack = Stack::start().await;
        stack.log.answer(answer.clone());
        let reply = stack.ask(&stack.token()).await;
        let refused = reply.refused(500, 13);
        assert!(refused.contains("no usable SCT"), "{answer:?}: {refused}");
        assert!(!reply.text().contains("CERTIFICATE"));
    }
}

#[tokio::test]
async fn a_failing_log_is_left_alone_and_tried_again() {
    let stack = Stack::start().await;
    stack.log.answer(LogAnswer::Status(503));
    for _ in 0..5 {
        come_back(&stack.ask(&stack.token()).await);
    }
    let asked = stack.log.submissions();
    for _ in 0..3 {
        come_back(&stack.ask(&stack.token()).await);
    }
    assert_eq!(stack.log.submissions(), asked, "the circuit is open");
    stack.log.answer(LogAnswer::Sct);
    come_back(&stack.ask(&stack.token()).await);
    stack.clock.advance_ms(2_000);
    stack.verified_leaf(&stack.ask(&stack.token()).await);
    stack.verified_leaf(&stack.ask(&stack.token()).await);
}

#[tokio::test]
async fn an_sct_from_the_future_is_no_sct() {
    let stack = Stack::start().await;
    for (ahead_ms, status) in [(59_000, 200), (61_000, 500), (u64::MAX >> 12, 500)] {
        stack.log.answer(LogAnswer::Ahead(ahead_ms, &[]));
        let reply = stack.ask(&stack.token()).await;
        assert_eq!(reply.status.as_u16(), status, "{ahead_ms}: {}", reply.text());
    }
}

/// The log's clock tells what ours cannot know of itself, as after a start with a wrong one.
#[tokio::test]
async fn an_sct_from_the_past_is_no_sct() {
    let stack = Stack::start().await;
    for (behind_ms, status) in [(59_000, 200), (61_000, 500)] {
        stack.log.answer(LogAnswer::Ahead(0_u64.wrapping_sub(behind_ms), &[]));
        let reply = stack.ask(&stack.token()).await;
        assert_eq!(reply.status.as_u16(), status, "{behind_ms}: {}", reply.text());
    }
}

#[tokio::test]
async fn a_clock_that_jumped_issues_nothing_and_leaves_nothing_behind() {
    let stack = Stack::start().await;
    let token = stack.token();
    for jump in [120, -120] {
        stack.clock.jump(jump);
        let asked = stack.log.submissions();
        let reply = stack.ask(&token).await;
        let refused = reply.refused(503, 14);
        assert!(refused.contains("jumped 120 s") && refused.contains("set it right"), "{refused}");
        assert_eq!(stack.log.submissions(), asked, "nothing was signed");
        stack.clock.jump(-jump);
        stack.verified_leaf(&stack.ask(&token).await);
    }
}

#[tokio::test]
async fn extensions_of_an_sct_are_kept_byte_by_byte() {
    let stack = Stack::start().await;
    // As static-ct-api has it: leaf_index 5.
    stack.log.answer(LogAnswer::Ahead(0, &[0, 0, 5, 0, 0, 0, 0, 5]));
    stack.verified_leaf(&stack.ask(&stack.token()).await);
}

/// Once the log knows the precertificate, callers that are not yet let in must not push it out.
#[tokio::test]
async fn a_queue_full_of_new_work_does_not_refuse_what_is_logged() {
    let stack = Stack::start().await;
    let held = stack.log.hold();
    let token = stack.token();
    let mut asking = Box::pin(stack.ask(&token));
    while stack.log.submissions() == 0 {
        let turn = Duration::from_millis(1);
        assert!(tokio::time::timeout(turn, &mut asking).await.is_err());
    }
    let flood = stack.flood().await;
    drop(held);
    // Without a thread to run on it can only wait, or be refused.
    assert!(tokio::time::timeout(Duration::from_millis(300), &mut asking).await.is_err());
    drop(flood);
    stack.verified_leaf(&asking.await);
}

#[tokio::test]
async fn what_is_wrong_with_the_log_is_told_until_it_answers() {
    let stack = Stack::start().await;
    assert_eq!(stack.ca.ct_trouble(), None);
    for (answer, word) in [
        (LogAnswer::Status(404), "misconfigured"),
        (LogAnswer::OtherLog, "misconfigured"),
        (LogAnswer::Status(503), "away"),
    ] {
        stack.log.answer(answer);
        stack.ask(&stack.token()).await;
        let trouble = stack.ca.ct_trouble().unwrap();
        assert_eq!((trouble.name(), trouble.url.trim_end_matches('/')), (word, &*stack.log.url));
    }
    stack.log.answer(LogAnswer::Sct);
    let reply = stack.ask(&stack.token()).await;
    stack.verified_leaf(&reply);
    assert_eq!(stack.ca.ct_trouble(), None);
    // It is asked also while nobody wants a certificate; this one has no such route.
    stack.ca.tick_ct_log().await;
    assert!(stack.ca.ct_trouble().unwrap().words.contains("404"));
}
