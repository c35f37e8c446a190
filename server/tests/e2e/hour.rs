//! A person's first hour: let in by an invite, a second device, a phone that is lost, another password. Each step as one who is
//! new would take it, wrong turns included.

use client::account::{Account, AccountError, Extras};
use protocol::body::message::SendText;
use protocol::body::session::{Done, Reauth};
use protocol::body::sync::SendAck;
use protocol::{ChannelId, CloseCode, Code, UserId};
use serde_json::{Value, json};

use crate::node::{Node, admin};
use crate::people::PASSWORD;
use crate::raw::{Carrier, Raw};

over_both! {
    a_first_hour
}

fn refused<T: std::fmt::Debug>(outcome: Result<T, AccountError>) -> String {
    outcome.unwrap_err().code().to_owned()
}

fn named(name: &str) -> Extras<'_> {
    Extras { device_name: Some(name), ..Extras::default() }
}

fn json_of(answer: &str) -> Value {
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap_or_default()
}

/// An invite of the operator, by the documented tool.
fn invite(node: &Node) -> String {
    let data = node.data.to_str().unwrap();
    let output = admin(&["invite", "--data", data]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

async fn join(account: &Account, node: &Node, name: &str) -> UserId {
    account.signup_invited(name, PASSWORD, Some(&invite(node))).await.unwrap()
}

async fn a_first_hour(carrier: Carrier) {
    let node = Node::over(carrier, 2, &["--signup", "invite"]);
    let account = node.account();
    let ann = join(&account, &node, "ann").await;
    let mut ann_device = Raw::live(&node, &account.login("ann", PASSWORD, None).await.unwrap().token);

    // Nobody comes in without an invite, and no invite is good twice.
    assert_eq!(refused(account.signup("bob", PASSWORD).await), "invite_needed");
    assert_eq!(refused(account.signup_invited("bob", PASSWORD, Some("made up")).await), "invite_unknown");
    let code = invite(&node);
    assert_eq!(refused(account.signup_invited("bob", "short", Some(&code)).await), "bad_field");
    assert_eq!(refused(account.signup_invited("ANN", PASSWORD, Some(&code)).await), "name_taken");
    let bob = account.signup_invited("bob", PASSWORD, Some(&code)).await.unwrap();
    assert_eq!(refused(account.signup_invited("bob2", PASSWORD, Some(&code)).await), "invite_used");

    // A phone, then a laptop: both have what was said before and after.
    assert_eq!(
        refused(account.login_with("bob", "wrong horse", None, named("phone")).await),
        "wrong_credentials"
    );
    let phone = account.login_with("bob", PASSWORD, None, named("phone")).await.unwrap();
    let mut on_phone = Raw::live(&node, &phone.token);
    let direct = ChannelId::direct(ann, bob);
    let text = |text: &str| SendText { channel: direct.0, text: text.into() };
    ann_device.body(1, &text("welcome"));
    ann_device.answer_as::<SendAck>(1);
    let laptop = account.login_with("Bob ", PASSWORD, None, named("laptop")).await.unwrap();
    let mut on_laptop = Raw::live(&node, &laptop.token);
    let said = |token: &str| {
        let history = node.ask("GET", &format!("/v1/channels/{direct}/messages"), token, None);
        let history = json_of(&history);
        let texts = history["messages"].as_array().unwrap_or_else(|| panic!("{history}")).clone();
        texts.iter().map(|one| one["text"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(said(&laptop.token), ["welcome"], "what was said before is there");
    on_laptop.body(2, &text("from the laptop"));
    assert_eq!(on_laptop.answer_as::<SendAck>(2).seq, 2);
    let devices = json_of(&node.ask("GET", "/v1/devices", &laptop.token, None));
    let list = devices["devices"].as_array().unwrap();
    let names: Vec<_> = list.iter().map(|device| device["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["phone", "laptop"], "{devices}");

    // The phone is lost: found in the list by its name, and out of it at once, whatever it holds.
    let lost = list[0]["device"].as_str().unwrap();
    let answer = node.ask("DELETE", &format!("/v1/devices/{lost}"), &laptop.token, None);
    assert!(answer.contains(" 204 "), "{answer}");
    assert_eq!(on_phone.reject(0).code, Code::Unauthenticated.number());
    on_phone.closes(CloseCode::Unauthenticated);
    Raw::open(&node).refused_hello(&phone.token, Code::Unauthenticated);
    assert_eq!(refused(account.renew(&phone.refresh).await), "unauthenticated");
    on_laptop.is_served(3);

    // Another password: the laptop goes on with its new tokens, and the old ones open nothing.
    let new = "a staple for a horse";
    let wrong = json!({ "old": "not it at all", "new": new }).to_string();
    let answer = node.ask("POST", "/v1/password", &laptop.token, Some(&wrong));
    assert_eq!(json_of(&answer)["code"], "wrong_credentials");
    let right = json!({ "old": PASSWORD, "new": new }).to_string();
    let grant = json_of(&node.ask("POST", "/v1/password", &laptop.token, Some(&right)));
    let fresh = grant["token"].as_str().unwrap_or_else(|| panic!("{grant}")).to_owned();
    on_laptop.body(4, &Reauth { token: fresh.clone() });
    on_laptop.answer_as::<Done>(4);
    on_laptop.is_served(5);
    Raw::open(&node).refused_hello(&laptop.token, Code::Unauthenticated);
    assert_eq!(refused(account.login("bob", PASSWORD, None).await), "wrong_credentials");
    let again = account.login_with("bob", new, None, named("new phone")).await.unwrap();
    let mut on_new_phone = Raw::live(&node, &again.token);
    assert_eq!(said(&again.token), ["welcome", "from the laptop"], "all of it is on the new phone, too");
    on_new_phone.is_served(6);
    let devices = json_of(&node.ask("GET", "/v1/devices", &fresh, None));
    assert_eq!(devices["devices"].as_array().map(Vec::len), Some(2), "{devices}");
}
