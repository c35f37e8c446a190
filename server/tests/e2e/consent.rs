//! Consent through the binary: blocks, friends, who may write, invitations, and that all of it outlives the process.

use client::account::{Audience, Privacy, Standing};
use protocol::body::message::{AddMembers, CreateGroup, InviteMembers, JoinGroup, LeaveGroup};
use protocol::{ChannelId, Code, SendId};

use crate::node::{Node, admin};
use crate::one_device::{Person, person, text};
use crate::raw::{Carrier, Raw};

over_both! {
    a_block_holds_from_its_answer_on_and_over_a_crash
    who_is_not_added_is_invited_and_joins
    who_is_erased_in_a_stopped_directory_is_as_gone
}

impl Person {
    fn again(&mut self, node: &Node) {
        self.device = Raw::live(node, &self.token);
    }
}

async fn a_block_holds_from_its_answer_on_and_over_a_crash(carrier: Carrier) {
    let mut node = Node::over(carrier, 3, &[]);
    let account = node.account();
    let mut ann = person(&node, &account, "ann").await;
    let bob = person(&node, &account, "bob").await;
    let direct = ChannelId::direct(ann.user, bob.user);
    assert_eq!(ann.acked(1, &text(direct)), 1);
    for round in 0..20 {
        account.set_blocked(&bob.token, ann.user, true).await.unwrap();
        ann.device.refuses(100 + round, &text(direct), Code::NeedsConsent, "channel");
        account.set_blocked(&bob.token, ann.user, false).await.unwrap();
        assert_eq!(ann.acked(200 + round, &text(direct)), round + 2);
    }
    account.set_blocked(&bob.token, ann.user, true).await.unwrap();
    node.kill();
    node.up(2);
    let account = node.account();
    ann.again(&node);
    ann.device.refuses(300, &text(direct), Code::NeedsConsent, "channel");
    account.set_blocked(&bob.token, ann.user, false).await.unwrap();

    // Friends alone may write, and then nobody.
    let friends = Privacy { message: Some(Audience::Friends), ..Privacy::default() };
    account.set_privacy(&bob.token, friends).await.unwrap();
    ann.device.refuses(301, &text(direct), Code::NeedsConsent, "channel");
    assert_eq!(account.befriend(&ann.token, bob.user).await.unwrap(), Standing::Asked);
    ann.device.refuses(302, &text(direct), Code::NeedsConsent, "channel");
    assert_eq!(account.befriend(&bob.token, ann.user).await.unwrap(), Standing::Friend);
    assert_eq!(ann.acked(303, &text(direct)), 22);
    let nobody = Privacy { message: Some(Audience::Nobody), ..Privacy::default() };
    let now = account.set_privacy(&bob.token, nobody).await.unwrap();
    assert_eq!((now.message, now.add), (Some(Audience::Nobody), Some(Audience::Everyone)));
    ann.device.refuses(304, &text(direct), Code::NeedsConsent, "channel");
    // The one who refuses may write.
    let mut bob = bob;
    bob.again(&node);
    assert_eq!(bob.acked(1, &text(direct)), 23);

    // Nobody writes to who is no more.
    account.set_privacy(&bob.token, Privacy { message: Some(Audience::Everyone), ..now }).await.unwrap();
    assert_eq!(ann.acked(305, &text(direct)), 24);
    node.operate("/v1/admin/delete", r#"{"name":"bob"}"#);
    ann.device.refuses(306, &text(direct), Code::NeedsConsent, "channel");
    node.stop();
    node.check();
}

async fn who_is_not_added_is_invited_and_joins(carrier: Carrier) {
    let mut node = Node::over(carrier, 2, &[]);
    let account = node.account();
    let mut ann = person(&node, &account, "ann").await;
    let mut bob = person(&node, &account, "bob").await;
    let members = vec![bob.user.0];
    let group = ChannelId::group(ann.user, SendId(1));
    ann.acked(1, &CreateGroup { channel: group.0, name: "us".into(), members: Vec::new() });
    let friends = Privacy { add: Some(Audience::Friends), ..Privacy::default() };
    account.set_privacy(&bob.token, friends).await.unwrap();
    let add = AddMembers { channel: group.0, members: members.clone() };
    ann.device.refuses(2, &add, Code::NeedsConsent, "members[0]");
    bob.device.refuses(3, &JoinGroup { channel: group.0 }, Code::Forbidden, "channel");
    let invite = InviteMembers { channel: group.0, members };
    assert_eq!(ann.acked(4, &invite), 2);
    ann.device.refuses(5, &invite, Code::Limit, "members[0]");
    bob.device.refuses(6, &text(group), Code::Forbidden, "channel");
    node.kill();
    node.up(3);
    ann.again(&node);
    bob.again(&node);
    assert_eq!(bob.acked(7, &JoinGroup { channel: group.0 }), 3, "an invitation outlives the process");
    assert_eq!(bob.acked(8, &text(group)), 4);
    assert_eq!(bob.acked(9, &LeaveGroup { channel: group.0 }), 5);
    bob.device.refuses(10, &JoinGroup { channel: group.0 }, Code::Forbidden, "channel");
    // Who left is not put back, friend or not.
    node.account().befriend(&ann.token, bob.user).await.unwrap();
    node.account().befriend(&bob.token, ann.user).await.unwrap();
    ann.device.refuses(11, &add, Code::NeedsConsent, "members[0]");
    assert_eq!(ann.acked(12, &invite), 6);
    assert_eq!(bob.acked(13, &JoinGroup { channel: group.0 }), 7);
    node.stop();
    node.check();
}

async fn who_is_erased_in_a_stopped_directory_is_as_gone(carrier: Carrier) {
    let mut node = Node::over(carrier, 2, &[]);
    let account = node.account();
    let mut ann = person(&node, &account, "ann").await;
    let bob = person(&node, &account, "bob").await;
    let direct = ChannelId::direct(ann.user, bob.user);
    assert_eq!(ann.acked(1, &text(direct)), 1);
    let made = node.ask("POST", "/v1/bots", &bob.token, Some(r#"{"name":"bobsbot"}"#));
    let token = made.split("\"token\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap().to_owned();
    let reads = |node: &Node| node.ask("GET", "/v1/channels", &token, None)[9..12].to_owned();
    assert_eq!(reads(&node), "200");
    node.stop();
    let output = admin(&["delete-user", "--user", "bob", "--data", node.data.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    node.up(2);
    assert_eq!(reads(&node), "401", "its bots end with it");
    ann.again(&node);
    ann.device.refuses(2, &text(direct), Code::NeedsConsent, "channel");
    node.stop();
    node.check();
}
