use std::time::Duration;

use protocol::{ChannelId, SendId};
use tokio::time::timeout;

use super::{Client, End, Events, Options};
use crate::account::{Account, Login};
use crate::fake::Fake;
use crate::session::{Content, Event};

const WAIT: Duration = Duration::from_secs(20);
const PASSWORD: &str = "a long password";

async fn log_in(fake: &Fake, name: &str) -> (Account, Login) {
    let account = Account::new(&fake.url()).unwrap();
    account.signup(name, PASSWORD).await.unwrap();
    let login = account.login(name, PASSWORD, None).await.unwrap();
    (account, login)
}

async fn start(fake: &Fake, name: &str) -> (Client, Events) {
    let (account, login) = log_in(fake, name).await;
    let renew = Some((name.to_owned(), PASSWORD.to_owned()));
    Client::start(Options { account, login, renew, saved: None }).unwrap()
}

async fn next(events: &mut Events) -> Result<Event, End> {
    timeout(WAIT, events.next()).await.expect("an event in time")
}

async fn until<T>(events: &mut Events, mut wanted: impl FnMut(&Event) -> Option<T>) -> T {
    loop {
        if let Some(found) = wanted(&next(events).await.unwrap()) {
            return found;
        }
    }
}

fn text(event: &Event) -> Option<String> {
    match event {
        Event::Message(message) => match &message.content {
            Content::Text(text) => Some(text.clone()),
            other => panic!("{other:?}"),
        },
        _ => None,
    }
}

fn ack(event: &Event) -> Option<SendId> {
    if let Event::Ack { send_id, .. } = event { Some(*send_id) } else { None }
}

#[tokio::test]
async fn two_people_talk() {
    let fake = Fake::start().await;
    let (minji, mut hers) = start(&fake, "minji").await;
    let (joon, mut his) = start(&fake, "joon").await;
    let channel = ChannelId::direct(minji.user(), joon.user());
    // The longest text there is crosses in many reads.
    let long = "가".repeat(100_000);
    let sent =
        [minji.send_text(channel, "hello").await.unwrap(), minji.send_text(channel, &long).await.unwrap()];
    assert_eq!(until(&mut hers, ack).await, sent[0]);
    assert_eq!(until(&mut hers, ack).await, sent[1]);
    assert_eq!(until(&mut his, text).await, "hello");
    assert!(until(&mut his, text).await == long);
}

#[tokio::test]
async fn cut_connections_lose_and_repeat_nothing() {
    let fake = Fake::start().await;
    let (minji, mut hers) = start(&fake, "minji").await;
    let (joon, mut his) = start(&fake, "joon").await;
    let channel = ChannelId::direct(minji.user(), joon.user());
    let mut sent = Vec::new();
    for round in 0..5 {
        fake.world().cut_after = Some(round * 2);
        for n in 0..10 {
            sent.push(minji.send_text(channel, &format!("{round}.{n}")).await.unwrap());
        }
        for send_id in &sent[round * 10..] {
            assert_eq!(until(&mut hers, ack).await, *send_id);
        }
    }
    for n in 0..50 {
        assert_eq!(until(&mut his, text).await, format!("{}.{}", n / 10, n % 10));
    }
    assert!(fake.world().hellos >= 7, "two clients and five cuts");
    assert_eq!(minji.saved().await.unwrap().pending, []);
}

#[tokio::test]
async fn an_ended_token_is_renewed_before_the_next_hello() {
    let fake = Fake::start().await;
    fake.world().first_good_token = 2;
    let (client, mut events) = start(&fake, "minji").await;
    until(&mut events, |event| matches!(event, Event::Connected(_)).then_some(())).await;
    assert_eq!(fake.world().tokens, 2);
    assert!(client.token().ends_with(".2"));
}

#[tokio::test]
async fn a_token_is_renewed_while_connected() {
    let fake = Fake::start().await;
    fake.world().token_life_ms = 500;
    let (client, mut events) = start(&fake, "minji").await;
    until(&mut events, |event| matches!(event, Event::Reauthed).then_some(())).await;
    assert!(fake.world().reauths >= 1);
    assert!(!client.token().ends_with(".1"));
}

/// The end of a client whose server closes each connection with 4003 as soon as it is live.
async fn replaced(fake: &Fake, events: &mut Events) -> End {
    fake.world().close_with = Some(4003);
    fake.wake();
    loop {
        if let Err(end) = next(events).await {
            return end;
        }
    }
}

/// A server under load may read the Hello of the connection before after that of this one.
#[tokio::test]
async fn a_device_that_is_replaced_as_soon_as_it_is_there_comes_back_once() {
    let fake = Fake::start().await;
    let (_client, mut events) = start(&fake, "minji").await;
    until(&mut events, |event| matches!(event, Event::Live).then_some(())).await;
    assert_eq!(replaced(&fake, &mut events).await, End::Replaced);
    assert_eq!(fake.world().hellos, 2);
}

#[tokio::test]
async fn a_device_that_is_somewhere_else_does_not_come_back() {
    let fake = Fake::start().await;
    let (_client, mut events) = start(&fake, "minji").await;
    until(&mut events, |event| matches!(event, Event::Live).then_some(())).await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(11)).await;
    tokio::time::resume();
    assert_eq!(replaced(&fake, &mut events).await, End::Replaced);
    assert_eq!(fake.world().hellos, 1);
}

#[tokio::test]
async fn a_token_that_cannot_be_renewed_ends_the_client() {
    let fake = Fake::start().await;
    fake.world().first_good_token = 100;
    let (_client, mut events) = start(&fake, "minji").await;
    let end = loop {
        if let Err(end) = next(&mut events).await {
            break end;
        }
    };
    assert!(matches!(end, End::Refused { ref code, .. } if code == "expired"), "{end:?}");
    assert_eq!(fake.world().hellos, 3);
}

#[tokio::test]
async fn who_logged_in_by_tls_is_not_led_into_clear_text() {
    let fake = Fake::start().await;
    let (_, login) = log_in(&fake, "minji").await;
    assert!(login.chat.starts_with("ws://"));
    let trust = crate::trust::Trust::pin(&"00".repeat(32)).unwrap();
    let account = Account::with_trust("https://127.0.0.1:1", trust).unwrap();
    let error = Client::start(Options { account, login, renew: None, saved: None }).unwrap_err();
    assert!(error.to_string().contains("clear text"), "{error}");
}

#[tokio::test]
async fn dropping_the_client_ends_its_events() {
    let fake = Fake::start().await;
    let (client, mut events) = start(&fake, "minji").await;
    until(&mut events, |event| matches!(event, Event::Live).then_some(())).await;
    drop(client);
    assert_eq!(next(&mut events).await, Err(End::Stopped));
}

#[tokio::test]
async fn an_app_that_does_not_listen_can_still_speak() {
    let fake = Fake::start().await;
    let (minji, hers) = start(&fake, "minji").await;
    let (joon, mut his) = start(&fake, "joon").await;
    let channel = ChannelId::direct(minji.user(), joon.user());
    for n in 0..3000 {
        minji.send_text(channel, &n.to_string()).await.unwrap();
        if n % 100 == 99 {
            // Joon hears the first though Minji takes no event. Past her queue's bound her connection is not read, so
            // her acks do not come and her window closes, but she can go on speaking.
            for n in n - 99..=n.min(299) {
                assert_eq!(until(&mut his, text).await, n.to_string());
            }
        }
    }
    drop(hers);
    for n in 300..3000 {
        assert_eq!(until(&mut his, text).await, n.to_string());
    }
}

/// A client without a password.
async fn start_bare(fake: &Fake) -> (Client, Events) {
    let (account, login) = log_in(fake, "minji").await;
    Client::start(Options { account, login, renew: None, saved: None }).unwrap()
}

#[tokio::test]
async fn a_refresh_token_buys_each_next_pair_without_a_password() {
    let fake = Fake::start().await;
    fake.world().token_life_ms = 500;
    let (client, mut events) = start_bare(&fake).await;
    let mut logins = client.logins();
    let mut last = client.login().refresh;
    for renewals in 1..=3 {
        until(&mut events, |event| matches!(event, Event::Reauthed).then_some(())).await;
        assert!(fake.world().renewals >= renewals);
        assert!(timeout(WAIT, logins.changed()).await.unwrap().is_ok(), "the app is told");
        let now = logins.borrow_and_update().refresh.clone();
        assert_ne!(now, std::mem::replace(&mut last, now.clone()));
    }
    // What the app kept brings the device back.
    let kept = client.login();
    drop(client);
    while next(&mut events).await.is_ok() {}
    let back = Account::new(&fake.url()).unwrap().renew(&kept.refresh).await;
    assert_eq!(back.map(|login| login.device).unwrap(), kept.device);
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_with_the_same_token() {
    let fake = Fake::start().await;
    fake.world().token_life_ms = 500;
    fake.world().lost_answers = 2;
    let (_client, mut events) = start_bare(&fake).await;
    until(&mut events, |event| matches!(event, Event::Reauthed).then_some(())).await;
    assert!(fake.world().renewals >= 3);
    assert_eq!(fake.world().lost_answers, 0);
}

#[tokio::test]
async fn a_device_that_slept_past_its_token_needs_no_password() {
    let fake = Fake::start().await;
    fake.world().first_good_token = 2;
    let (client, mut events) = start_bare(&fake).await;
    until(&mut events, |event| matches!(event, Event::Connected(_)).then_some(())).await;
    assert_eq!((fake.world().renewals, client.token().ends_with(".2")), (1, true));
}

#[tokio::test]
async fn where_the_refresh_token_ends_the_password_goes_on_and_without_one_it_is_logged_out() {
    let fake = Fake::start().await;
    fake.world().first_good_token = 2;
    fake.world().refuses_refresh = Some("token_reused");
    let (client, mut events) = start(&fake, "minji").await;
    until(&mut events, |event| matches!(event, Event::Connected(_)).then_some(())).await;
    assert_eq!((fake.world().renewals, client.token().ends_with(".2")), (0, true));
    let fake = Fake::start().await;
    fake.world().first_good_token = 2;
    for (code, is_logged_out) in [("token_reused", true), ("unauthenticated", true), ("expired", false)] {
        fake.world().refuses_refresh = Some(code);
        let account = Account::new(&fake.url()).unwrap();
        let _ = account.signup("joon", PASSWORD).await;
        fake.world().tokens = 0;
        let login = account.login("joon", PASSWORD, None).await.unwrap();
        let (_client, mut events) =
            Client::start(Options { account, login, renew: None, saved: None }).unwrap();
        let end = loop {
            if let Err(end) = next(&mut events).await {
                break end;
            }
        };
        assert_eq!(matches!(end, End::LoggedOut { .. }), is_logged_out, "{code}: {end:?}");
    }
}

#[tokio::test]
async fn a_network_without_udp_gets_a_websocket_and_is_remembered() {
    let fake = Fake::start().await;
    // It takes everything and never says a word.
    let hole = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    hole.set_nonblocking(true).unwrap();
    fake.world().quic = Some(hole.local_addr().unwrap());
    let mut tried = std::collections::BTreeSet::new();
    let mut attempts = || {
        while let Ok((_, from)) = hole.recv_from(&mut [0; 2048]) {
            tried.insert(from);
        }
        tried.len()
    };
    let (client, mut events) = start(&fake, "minji").await;
    let is_live = |event: &Event| matches!(event, Event::Live).then_some(());
    until(&mut events, is_live).await;
    assert!(!client.is_quic());
    assert_eq!(attempts(), 1, "QUIC was tried first");
    for _ in 0..3 {
        fake.world().close_with = Some(1001);
        fake.wake();
        until(&mut events, |event| matches!(event, Event::Disconnected { .. }).then_some(())).await;
        fake.world().close_with = None;
        until(&mut events, is_live).await;
    }
    assert_eq!(attempts(), 1, "and not again");
}
