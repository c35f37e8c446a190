//! Revoked is revoked (promise 8): whatever ends a device ends it on every port, with every token it holds, after a
//! restart on another number of shards, and in a directory that was given new generations.

use client::account::{Account, Login};
use client::dial::Transport;
use protocol::body::session::{Done, Reauth};
use protocol::{CloseCode, Code, Kind};

use crate::node::{Node, admin};
use crate::people::{Device, PASSWORD, until};
use crate::raw::{Carrier, Raw};

over_both! {
    every_way_out_is_final
    sixteen_logins_and_logouts_leave_sixteen_places
    the_sdk_takes_it_as_final
}

async fn login(account: &Account, password: &str) -> Login {
    account.login("ann", password, None).await.unwrap()
}

#[track_caller]
fn is(answer: &str, status: u16) {
    let found = answer.split(' ').nth(1).and_then(|word| word.parse::<u16>().ok());
    assert_eq!(found, Some(status), "{answer}");
}

/// The session is told and closed.
#[track_caller]
fn is_told(session: &mut Raw) {
    assert_eq!(session.reject(0).code, Code::Unauthenticated.number());
    session.closes(CloseCode::Unauthenticated);
}

/// None of these tokens is good for anything.
#[track_caller]
fn are_out(node: &Node, tokens: &[String]) {
    for token in tokens {
        Raw::open(node).refused_hello(token, Code::Unauthenticated);
        is(&node.ask("GET", "/v1/route", token, None), 401);
        is(&node.ask("GET", "/v1/devices", token, None), 401);
    }
}

/// `maru admin revoke` on the node's directory.
#[track_caller]
fn revoke(node: &Node, args: &[&str]) {
    let data = node.data.to_str().unwrap();
    let output = admin(&[&["revoke", "--data", data], args].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The token in an answer over HTTP.
fn token_in(answer: &str) -> String {
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    body["token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

async fn every_way_out_is_final(carrier: Carrier) {
    let mut node = Node::over(carrier, 2, &[]);
    let account = node.account();
    account.signup("ann", PASSWORD).await.unwrap();
    let mut out = Vec::new();

    // Its own logout, another device's word, being replaced, the operator's word.
    let stays = login(&account, PASSWORD).await;
    let mut bystander = Raw::live(&node, &stays.token);
    for way in 0..4 {
        let device = login(&account, PASSWORD).await;
        let mut session = Raw::live(&node, &device.token);
        let id = device.device;
        match way {
            0 => is(&node.ask("POST", "/v1/logout", &device.token, None), 204),
            1 => is(&node.ask("DELETE", &format!("/v1/devices/{id}"), &stays.token, None), 204),
            2 => {
                let body = format!(r#"{{"name":"ann","password":"{PASSWORD}","replace":"{id}"}}"#);
                let answer = node.ask("POST", "/v1/login", "", Some(&body));
                let newer = token_in(&answer);
                let mut newer_session = Raw::live(&node, &newer);
                Raw::open(&node).refused_hello(&device.token, Code::Unauthenticated);
                newer_session.is_served(9);
                is(&node.ask("POST", "/v1/logout", &newer, None), 204);
                out.push(newer);
            }
            _ => {
                revoke(&node, &["--user", "ann", "--device", &id.to_string(), "--server", &node.admin]);
            }
        }
        is_told(&mut session);
        out.push(device.token);
        are_out(&node, &out);
    }
    bystander.is_served(2);

    // Another password, and everywhere: the one that asks stays, its old token does not.
    let other = login(&account, PASSWORD).await;
    let mut session = Raw::live(&node, &other.token);
    let body = format!(r#"{{"old":"{PASSWORD}","new":"another horse entirely"}}"#);
    let fresh = token_in(&node.ask("POST", "/v1/password", &stays.token, Some(&body)));
    is_told(&mut session);
    bystander.is_served(3);
    out.extend([other.token, stays.token.clone()]);
    are_out(&node, &out);
    let fresher = token_in(&node.ask("POST", "/v1/logout/all", &fresh, Some(r#"{"keep_this":true}"#)));
    bystander.body(4, &Reauth { token: fresher.clone() });
    assert_eq!(bystander.answer_as::<Done>(4).kind, Kind::REAUTH.0);
    // The session goes on until it shows a token that no longer counts.
    bystander.body(5, &Reauth { token: fresh.clone() });
    assert_eq!(bystander.reject(5).code, Code::Unauthenticated.number());
    bystander.closes(CloseCode::Unauthenticated);
    out.push(fresh);
    let mut last = Raw::live(&node, &fresher);
    revoke(&node, &["--user", "ann", "--server", &node.admin]);
    is_told(&mut last);
    out.push(fresher);
    are_out(&node, &out);
    let device = login(&account, "another horse entirely").await;
    let mut session = Raw::live(&node, &device.token);
    revoke(&node, &["--all", "--server", &node.admin]);
    is_told(&mut session);
    out.push(device.token);
    // A stopped server: one, and everybody's.
    for task in [&["--user", "ann"][..], &["--all"]] {
        out.push(login(&account, "another horse entirely").await.token);
        assert_eq!(node.stop(), Some(0));
        revoke(&node, task);
        node.up(2);
        are_out(&node, &out);
    }

    // After a restart on other shards, and with new generations.
    assert_eq!(node.stop(), Some(0));
    node.check();
    node.up(1);
    are_out(&node, &out);
    node.kill();
    let data = node.data.to_str().unwrap().to_owned();
    assert!(admin(&["renew", "--data", &data]).status.success());
    node.up(3);
    are_out(&node, &out);
    let new = login(&account, "another horse entirely").await;
    Raw::live(&node, &new.token).is_served(2);
    assert_eq!(node.stop(), Some(0));
    node.check();
}

async fn sixteen_logins_and_logouts_leave_sixteen_places(carrier: Carrier) {
    let node = Node::over(carrier, 2, &[]);
    let account = node.account();
    account.signup("ann", PASSWORD).await.unwrap();
    let mut out = Vec::new();
    for _ in 0..16 {
        let device = login(&account, PASSWORD).await;
        is(&node.ask("POST", "/v1/logout", &device.token, None), 204);
        out.push(device.token);
    }
    are_out(&node, &out);
    let mut devices = Vec::new();
    for _ in 0..16 {
        let device = login(&account, PASSWORD).await;
        devices.push(Raw::live(&node, &device.token));
    }
    assert_eq!(account.login("ann", PASSWORD, None).await.unwrap_err().code(), "too_many_devices");
    are_out(&node, &out);
    for device in &mut devices {
        device.is_served(2);
    }
}

async fn the_sdk_takes_it_as_final(carrier: Carrier) {
    let node = Node::over(carrier, 2, &[]);
    let account = node.account();
    account.signup("ann", PASSWORD).await.unwrap();
    let transport = if carrier == Carrier::Ws { Transport::Ws } else { Transport::Quic };
    let device = Device::login_over(&account, "ann", transport).await;
    until("the device is live", || device.held.lock().unwrap().live).await;
    is(&node.operate("/v1/admin/revoke", r#"{"name":"ann"}"#), 204);
    until("the app is told", || !device.held.lock().unwrap().faults.is_empty()).await;
    let faults = device.held.lock().unwrap().faults.clone();
    assert!(faults.len() == 1 && faults[0].contains("this device was logged out"), "{faults:?}");
}
