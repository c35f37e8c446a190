//! Mutes, bans and slow mode through the binary: a device of the member sees them as they come, one that was away when it comes
//! back, and they outlive the process. The list of words refuses, and is read again; a report reaches the operators.

use protocol::body::message::{AddMembers, CreateGroup, SendText};
use protocol::body::rules::{BanMember, MUTED_FOR_EVER_S, MuteMember, SetSlow, UnbanMember};
use protocol::{ChannelId, Code, Kind, SendId};
use serde_json::{Value, json};

use crate::node::Node;
use crate::one_device::{Person, person, text};
use crate::people::PASSWORD;
use crate::raw::{Carrier, Raw, Seen};

over_both! {
    what_is_laid_down_is_seen_by_a_device_that_was_away_and_outlives_a_kill
}

impl Person {
    /// Waits for a message of this kind.
    fn sees(&mut self, kind: Kind) {
        sees(&mut self.device, kind);
    }
}

fn sees(device: &mut Raw, kind: Kind) {
    loop {
        match device.next() {
            Seen::Frame(frame) if frame.header().is_stamped() && frame.kind() == kind => return,
            Seen::Frame(_) => {}
            end => panic!("{end:?} where {kind:?} should be"),
        }
    }
}

async fn what_is_laid_down_is_seen_by_a_device_that_was_away_and_outlives_a_kill(carrier: Carrier) {
    let mut node = Node::over(carrier, 2, &[]);
    let account = node.account();
    let mut ann = person(&node, &account, "ann").await;
    let mut bob = person(&node, &account, "bob").await;
    let away = account.login("bob", PASSWORD, None).await.unwrap().token;
    let group = ChannelId::group(ann.user, SendId(1));
    let (channel, member) = (group.0, bob.user.0);
    ann.acked(1, &CreateGroup { channel, name: "us".into(), members: vec![member] });
    bob.acked(2, &text(group));
    ann.acked(3, &SetSlow { channel, interval_s: 21_600 });
    bob.sees(Kind::SET_SLOW);
    bob.acked(4, &text(group));
    bob.device.body(5, &text(group));
    let slow = bob.device.reject(5);
    assert_eq!(Code::from_number(slow.code), Some(Code::Slow));
    assert!((1..=21_600_000).contains(&slow.retry_after_ms), "{slow:?}");
    ann.acked(6, &SetSlow { channel, interval_s: 0 });
    ann.acked(7, &MuteMember { channel, member, for_s: MUTED_FOR_EVER_S });
    bob.sees(Kind::MUTE_MEMBER);
    bob.device.refuses(8, &text(group), Code::Muted, "channel");
    node.kill();
    node.up(3);
    ann.device = Raw::live(&node, &ann.token);
    bob.device = Raw::live(&node, &bob.token);
    bob.device.refuses(9, &text(group), Code::Muted, "channel");
    ann.acked(10, &BanMember { channel, member });
    bob.sees(Kind::BAN_MEMBER);
    bob.device.refuses(11, &text(group), Code::Forbidden, "channel");
    let add = AddMembers { channel, members: vec![member] };
    ann.device.refuses(12, &add, Code::Banned, "members[0]");
    // The device that was away all the time is brought both, and is refused as the other.
    let mut away = Raw::live(&node, &away);
    sees(&mut away, Kind::MUTE_MEMBER);
    sees(&mut away, Kind::BAN_MEMBER);
    away.refuses(13, &text(group), Code::Forbidden, "channel");
    ann.acked(14, &UnbanMember { channel, member });
    ann.acked(15, &add);
    away.refuses(16, &text(group), Code::Muted, "channel");
    ann.acked(17, &MuteMember { channel, member, for_s: 0 });
    bob.acked(18, &text(group));
    node.stop();
    node.check();
}

fn asked(node: &Node, method: &str, path: &str, token: &str, body: &Value) -> Value {
    let answer = node.ask(method, path, token, Some(&body.to_string()));
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_words_refuses_and_a_report_reaches_the_operators() {
    let directory = tempfile::tempdir().unwrap();
    let words = directory.path().join("words");
    std::fs::write(&words, "# not here\nSpam\n").unwrap();
    let mut node = Node::over(Carrier::Ws, 2, &["--words", words.to_str().unwrap()]);
    let account = node.account();
    let mut ann = person(&node, &account, "ann").await;
    let bob = person(&node, &account, "bob").await;
    let direct = ChannelId::direct(ann.user, bob.user);
    let spam = SendText { channel: direct.0, text: "some SPAM for you".into() };
    ann.device.refuses(1, &spam, Code::RefusedWord, "text");
    let seq = ann.acked(2, &text(direct));
    let path = format!("/v1/channels/{direct}/messages/{seq}/report");
    let made = asked(&node, "POST", &path, &bob.token, &json!({ "reason": "rude" }));
    assert!(made["report"].is_string(), "{made}");
    let own = asked(&node, "POST", &path, &ann.token, &json!({ "reason": "mine" }));
    assert_eq!(own["code"], "bad_field", "{own}");
    let id = made["report"].as_str().unwrap();
    let closed = node.operate(&format!("/v1/admin/reports/{id}/close"), r#"{"outcome":"upheld"}"#);
    assert!(closed.contains("upheld") && closed.contains("rude"), "{closed}");
    node.stop();
    node.check();
}
