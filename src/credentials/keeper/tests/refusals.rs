//! Tokens and grants that are refused, and servers that do not answer.
//!
//! Owns those cases. Refuses to know files.

use super::*;

#[tokio::test]
async fn a_dead_grant_costs_two_calls_and_is_mended_without_a_restart() {
    let stage = Stage::logged_in("test/one").await;
    let keeper = stage.running().await;
    let lease = token(&keeper, "test/one").await.unwrap();
    stage.fake.revoke_all();
    // A job runs into it; then many more start.
    let refused =
        keeper.refused(&name("test/one"), lease.generation, stale(), false).await.unwrap_err();
    assert_eq!(refused.standing.state, State::RefreshFailing);
    assert!(!refused.words.contains("canary"), "{}", refused.words);
    for _ in 0..10 {
        token(&keeper, "test/one").await.unwrap_err();
    }
    assert_eq!(stage.fake.calls(), 2, "the exchange that was refused");
    stage.clock.advance(Duration::from_secs(60));
    let standing = until(&keeper, "test/one", State::ReauthRequired).await;
    assert_eq!(standing.error.as_deref(), Some("invalid_grant"));
    for _ in 0..48 {
        stage.clock.advance(HOUR);
        let refused = token(&keeper, "test/one").await.unwrap_err();
        assert!(refused.words.contains("no longer valid"), "{}", refused.words);
    }
    assert_eq!(stage.fake.calls(), 3, "and the one that confirms it");
    stage.log_in("test/one").await;
    until(&keeper, "test/one", State::Healthy).await;
    let lease = token(&keeper, "test/one").await.unwrap();
    assert!(stage.fake.takes(&shown(&lease)));
    assert!(stage.audit("test/one").contains(&Act::Adopt));
}

#[tokio::test]
async fn a_refused_token_is_renewed_once_for_all_who_had_it() {
    let stage = Stage::logged_in("test/one").await;
    let keeper = stage.keeper().await;
    let name = name("test/one");
    let lease = token(&keeper, "test/one").await.unwrap();
    let refusals = (0..5).map(|_| keeper.refused(&name, lease.generation, stale(), false));
    let fresh = futures_util::future::join_all(refusals).await;
    let generations: BTreeSet<_> =
        fresh.into_iter().map(|lease| lease.unwrap().generation).collect();
    assert_eq!(generations, BTreeSet::from([lease.generation + 1]));
    assert_eq!(stage.fake.calls(), 2);
    // The fresh one is refused too: no more exchanges, and the operator has to look.
    let again = keeper.refused(&name, lease.generation + 1, stale(), false).await.unwrap_err();
    assert_eq!(again.standing.state, State::Misconfigured);
    token(&keeper, "test/one").await.unwrap_err();
    assert_eq!(stage.fake.calls(), 2);
}

#[tokio::test]
async fn a_fresh_token_that_is_refused_much_later_is_news() {
    let stage = Stage::logged_in("test/one").await;
    let keeper = stage.keeper().await;
    let name = name("test/one");
    let lease = token(&keeper, "test/one").await.unwrap();
    let fresh = keeper.refused(&name, lease.generation, stale(), false).await.unwrap();
    assert!(keeper.was_cured_lately(&name, fresh.generation));
    stage.clock.advance(Duration::from_secs(61));
    assert!(!keeper.was_cured_lately(&name, fresh.generation));
    stage.fake.revoke_all();
    let dead = keeper.refused(&name, fresh.generation, stale(), false).await.unwrap_err();
    assert_eq!(dead.standing.class, Some(Class::ReauthRequired), "the server was asked");
    assert_eq!(stage.fake.calls(), 3);
}

#[tokio::test]
async fn what_concerns_one_resource_leaves_the_credential_alone() {
    let stage = Stage::logged_in("test/one").await;
    let keeper = stage.keeper().await;
    let lease = token(&keeper, "test/one").await.unwrap();
    for class in [Class::Permission, Class::Quota] {
        let evidence = Evidence::new(class, "share the sheet with ops@example.com");
        let refused =
            keeper.refused(&name("test/one"), lease.generation, evidence, false).await.unwrap_err();
        assert_eq!(refused.standing.state, State::Healthy);
        assert!(refused.words.contains("share the sheet"), "{}", refused.words);
    }
    assert_eq!(token(&keeper, "test/one").await.unwrap(), lease);
}

#[tokio::test]
async fn a_client_that_is_mended_for_one_is_tried_for_all_that_share_it() {
    let secret = Arc::new(Mutex::new("wrong".to_owned()));
    let told = Arc::clone(&secret);
    let mut stage = Stage::with(Arc::new(move |_| Some(told.lock().unwrap().clone())));
    for text in ["test/one", "test/two"] {
        stage.declare(text, stage.oauth(SecretPlace::Env("SECRET".to_owned())));
        stage.log_in(text).await;
    }
    let keeper = stage.running().await;
    for text in ["test/one", "test/two"] {
        let refused = token(&keeper, text).await.unwrap_err();
        assert_eq!(refused.standing.class, Some(Class::ClientMisconfigured));
    }
    SECRET.clone_into(&mut secret.lock().unwrap());
    // What `jadactl auth refresh test/one` does.
    let one = keeper.one(&name("test/one")).unwrap();
    keeper.flight(one, Why::Forced).await.unwrap();
    until(&keeper, "test/two", State::Healthy).await;
}

#[tokio::test]
async fn a_server_that_asks_for_patience_is_left_alone_by_all_of_a_client() {
    let mut stage = Stage::logged_in("test/one").await;
    let secret = SecretPlace::File(stage.file("secret", SECRET));
    stage.declare("test/two", stage.oauth(secret));
    stage.log_in("test/two").await;
    stage.fake.faults([Fault::retry_after(429, "120")]);
    let keeper = stage.running().await;
    token(&keeper, "test/one").await.unwrap_err();
    let refused = token(&keeper, "test/two").await.unwrap_err();
    assert_eq!(refused.standing.class, Some(Class::RateLimited));
    assert_eq!(stage.fake.calls(), 1);
    stage.clock.advance(Duration::from_secs(120));
    until(&keeper, "test/one", State::Healthy).await;
    until(&keeper, "test/two", State::Healthy).await;
    assert_eq!(stage.fake.calls(), 3);
}

#[tokio::test]
async fn an_outage_is_ridden_out_with_the_token_at_hand() {
    let stage = Stage::logged_in("test/one").await;
    let keeper = stage.running().await;
    let lease = token(&keeper, "test/one").await.unwrap();
    let _run = keeper.renewed(&name("test/one"));
    stage.fake.fault(Some(Fault::retry_after(503, "30")));
    stage.clock.advance(Duration::from_secs(56 * 60));
    until(&keeper, "test/one", State::RefreshFailing).await;
    assert_eq!(token(&keeper, "test/one").await.unwrap(), lease);
    stage.fake.fault(None);
    stage.clock.advance(Duration::from_secs(60));
    let standing = until(&keeper, "test/one", State::Healthy).await;
    assert_eq!(standing.generation, lease.generation + 1);
}
