//! People of an identity provider: let in by its tokens, talking like everybody else, whatever becomes of the provider.

use std::path::PathBuf;

use client::account::{Account, AccountError, Extras, Login};
use client::dial::{Client, Events, Options};
use client::session::{Content, Event};
use protocol::{ChannelId, Code};
use serde_json::json;

use crate::issuer::{Idp, Mood, Signer};
use crate::node::{Node, admin};
use crate::people::PASSWORD;
use crate::raw::Raw;

/// The operator's file.
fn file_of(idp: &Idp, folder: &tempfile::TempDir) -> PathBuf {
    let path = folder.path().join("issuers.toml");
    let text = format!(
        "[[issuer]]\nissuer = \"{}\"\naudiences = [\"maru\"]\nalgorithms = [\"ES256\", \"EdDSA\"]\n\
         discovery = true\ncreate = \"on_first_sight\"\nagain_s = 1\n",
        idp.url
    );
    std::fs::write(&path, text).unwrap();
    path
}

async fn enter(account: &Account, jwt: &str) -> Result<Login, AccountError> {
    account.login_by_jwt(jwt, None, Extras { device_name: Some("phone"), ..Extras::default() }).await
}

fn start(account: &Account, login: Login) -> (Client, Events) {
    let options = Options { account: account.clone(), login, renew: None, saved: None };
    Client::start(options).unwrap()
}

/// The next text that is said to a device.
async fn hears(events: &mut Events) -> String {
    let heard = async {
        loop {
            if let Event::Message(message) = events.next().await.unwrap()
                && let Content::Text(text) = message.content
            {
                return text;
            }
        }
    };
    tokio::time::timeout(crate::node::PATIENCE, heard).await.expect("a text")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_of_an_identity_provider_talk() {
    let idp = Idp::start(Signer::p256()).await;
    let folder = tempfile::tempdir().unwrap();
    let file = file_of(&idp, &folder);
    let args = ["--issuers", file.to_str().unwrap(), "--signup", "closed", "--token-s", "20"];
    let mut node = Node::start(2, &args);
    let account = node.account();
    let jwt = |subject: &str| idp.token(subject, json!({ "preferred_username": subject }));
    let ann = enter(&account, &jwt("ann")).await.unwrap();
    let bob = enter(&account, &jwt("bob")).await.unwrap();
    let (ann_user, bob_user) = (ann.user, bob.user);
    let channel = ChannelId::direct(ann_user, bob_user);
    let second = enter(&account, &jwt("bob")).await.unwrap();
    assert_eq!((second.user, second.device == bob.device), (bob_user, false));
    let (ann_client, _ann_events) = start(&account, ann.clone());
    let (_bob_client, mut bob_events) = start(&account, bob);
    ann_client.send_text(channel, "one").await.unwrap();
    assert_eq!(hears(&mut bob_events).await, "one");

    // The provider takes another key: those who are in need nothing of it, and who comes shows the new one.
    idp.rotate("second", Signer::ed25519());
    let mut tries = 0;
    let carol = loop {
        match enter(&account, &jwt("carol")).await {
            Ok(login) => break login,
            Err(error) => {
                assert!(
                    error.to_string().contains("jwt_unknown_key") || error.retry_after_ms() > 0,
                    "{error}"
                );
                tries += 1;
                assert!(tries < 600, "a minute later it is still refused: {error}");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    };
    // It goes: who is in talks on and renews, who comes is let in with the keys that are known.
    idp.is(Mood::Gone);
    let renewed = account.renew(&second.refresh).await.unwrap();
    Raw::live(&node, &renewed.token).is_served(7);
    ann_client.send_text(channel, "two").await.unwrap();
    assert_eq!(hears(&mut bob_events).await, "two");
    enter(&account, &jwt("dave")).await.unwrap();

    // A restart without the provider: nobody new, and nobody out.
    assert_eq!(node.stop(), Some(0));
    node.up(3);
    let refused = enter(&account, &jwt("erin")).await.unwrap_err();
    assert!(refused.retry_after_ms() > 0, "{refused}");
    ann_client.send_text(channel, "three").await.unwrap();
    assert_eq!(hears(&mut bob_events).await, "three");

    // Erased by a token of its own: its sessions end, and the next sight is of somebody new.
    idp.is(Mood::Good);
    let carol_jwt = jwt("carol");
    let mut session = Raw::live(&node, &carol.token);
    let body = json!({ "jwt": carol_jwt }).to_string();
    let mut asked = 0;
    let gone = loop {
        let answer = node.ask("POST", "/v1/account/delete", &carol.token, Some(&body));
        if !answer.contains("retry-after") {
            break answer;
        }
        asked += 1;
        assert!(asked < 600, "a minute later it is still to come again: {answer}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    };
    assert!(gone.starts_with("HTTP/1.0 204"), "{gone}");
    assert_eq!(session.reject(0).code, Code::Unauthenticated.number());
    Raw::open(&node).refused_hello(&carol.token, Code::Unauthenticated);
    assert_ne!(enter(&account, &carol_jwt).await.unwrap().user, carol.user);
    drop(ann_client);
    assert_eq!(node.stop(), Some(0));
    node.check();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_file_of_issuers_is_read_again() {
    let (first, second) = (Idp::start(Signer::p256()).await, Idp::start(Signer::ed25519()).await);
    let folder = tempfile::tempdir().unwrap();
    let file = file_of(&first, &folder);
    let node = Node::start(2, &["--issuers", file.to_str().unwrap(), "--signup", "closed"]);
    let account = node.account();
    let ann = enter(&account, &first.token("ann", json!({ "preferred_username": "ann" }))).await.unwrap();
    let bob_jwt = second.token("bob", json!({ "preferred_username": "bob" }));
    let refused = enter(&account, &bob_jwt).await.unwrap_err().to_string();
    assert!(refused.contains("nobody is let in by"), "{refused}");

    // A mistake changes nothing.
    let good = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, good.replace("discovery = true", "discovery = perhaps")).unwrap();
    node.hang_up();
    node.logs(&["the issuers cannot be read again", "issuers.toml"]);
    enter(&account, &first.token("ann", json!({}))).await.unwrap();

    // The other one in place of the first: who is in stays, who comes is let in by the other alone.
    file_of(&second, &folder);
    node.hang_up();
    node.logs(&["the issuers were read again", &second.url]);
    let bob = enter(&account, &bob_jwt).await.unwrap();
    assert_ne!(bob.user, ann.user);
    let refused = enter(&account, &first.token("ann", json!({}))).await.unwrap_err().to_string();
    assert!(refused.contains("nobody is let in by"), "{refused}");
    Raw::live(&node, &ann.token).is_served(7);
}

/// What `maru admin identities` prints, or why it did nothing.
fn identities(node: &Node, args: &[&str]) -> Result<String, String> {
    let output = admin(&[&["identities"], args, &["--data", node.data.to_str().unwrap()]].concat());
    let words = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(words(output.stdout)) } else { Err(words(output.stderr)) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_links_a_person_to_an_account() {
    let idp = Idp::start(Signer::ed25519()).await;
    let folder = tempfile::tempdir().unwrap();
    let file = file_of(&idp, &folder);
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("on_first_sight", "never")).unwrap();
    let node = Node::start(1, &["--issuers", file.to_str().unwrap()]);
    let account = node.account();
    let ann = account.signup("ann", PASSWORD).await.unwrap();
    account.signup("bob", PASSWORD).await.unwrap();
    let jwt = idp.token("A|1", json!({}));
    assert!(enter(&account, &jwt).await.is_err());
    let who = |user| ["--user", user, "--issuer", &idp.url, "--subject", "A|1"];
    identities(&node, &[&["link"], &who("ann")[..]].concat()).unwrap();
    let fault = identities(&node, &[&["link"], &who("bob")[..]].concat()).unwrap_err();
    assert!(fault.contains("another user"), "{fault}");
    assert_eq!(enter(&account, &jwt).await.unwrap().user, ann);
    assert_eq!(identities(&node, &["list", "--user", "ann"]).unwrap(), format!("{}\tA|1\n", idp.url));
    identities(&node, &[&["unlink"], &who("ann")[..]].concat()).unwrap();
    assert!(identities(&node, &[&["unlink"], &who("ann")[..]].concat()).is_err());
    assert!(enter(&account, &jwt).await.is_err());
}

#[test]
fn a_file_of_issuers_that_is_wrong_keeps_the_server_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("issuers.toml");
    std::fs::write(&file, "[[issuer]]\nissuer = \"https://id.example.org\"\n").unwrap();
    let data = folder.path().join("data");
    let output = std::process::Command::new(crate::node::maru())
        .args(["serve", "--http", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--issuers"])
        .arg(&file)
        .arg("--data")
        .arg(&data)
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{words}");
    assert!(words.contains("issuers.toml") && words.contains("missing field"), "{words}");
}
