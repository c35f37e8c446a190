//! What must hold for any bytes whatever. Shared by the fuzz targets and by the seeded mutation test, so that both
//! search for the same bugs.

use protocol::body::about::{About, EditText, GetAbout, Pin, React, Recall, Recalled};
use protocol::body::erase::Erase;
use protocol::body::large::Heads;
use protocol::body::list::{ChannelsV2, GetChannelsV2, GetHistoryV2, HistoryPageV2};
use protocol::body::marks::{GetReceipts, MarkDelivered, Receipts, Typing};
use protocol::body::message::{
    AddMembers, CreateGroup, GrowGroup, InviteMembers, JoinGroup, LeaveGroup, RemoveMember, RenameGroup,
    SendText, SetRole,
};
use protocol::body::own::{GetNotes, Hide, Notes, SetDraft, SetPrefs};
use protocol::body::presence::{
    GetOwnPresence, GetPresence, Idle, OwnPresence, Presence, SetPresence, Unwatch, Watch,
};
use protocol::body::push::{GetPush, Push, SetPush, SubscribePush, UnsubscribePush};
use protocol::body::rules::{BanMember, GetRules, MuteMember, Rules, SetSlow, UnbanMember};
use protocol::body::session::{Done, GoingAway, Heartbeat, Hello, Reauth, Reject, Welcome, WelcomeV2};
use protocol::body::sync::{
    Channels, Complete, CursorAck, GetChannels, GetHistory, GetMembers, HistoryPage, MarkRead, Members,
    MembersV2, SendAck,
};
use protocol::body::talk::{GetMentions, GetThread, Mentions, SendTextV2, Thread};
use protocol::body::{Body, KINDS, OLDER, check, encode, is_readable, read};
use protocol::commit::{AccountRow, Batch, ChannelRow, DeviceRow, IntervalRow, PositionRow};
use protocol::cost::{FRAME_TOKENS_MAX, tokens};
use protocol::token::{Key, sign, verify};
use protocol::ws::{Decoder, Event, Role};
use protocol::{Code, Frame, Header, Kind};

/// Any bytes as a frame: no panic, and what is taken is a frame of these very bytes.
pub fn frame(data: &[u8]) {
    let Ok(frame) = Frame::new(bytes::Bytes::copy_from_slice(data)) else { return };
    let mut head = Vec::new();
    frame.header().write(&mut head);
    assert_eq!(head, data[..head.len()]);
    assert_eq!(Header::read(data), Some(frame.header()));
    assert_eq!(frame.read_stamp().is_some(), frame.header().is_stamped());
    assert!(data.ends_with(frame.body()));
    let _ = check(&frame);
    let _ = is_readable(&frame);
    assert!((1..=FRAME_TOKENS_MAX).contains(&tokens(&frame)));
}

/// The first byte picks a kind and version, the rest is its body: no panic; accepted means canonical, and canonical is accepted
/// unless a limit is broken.
pub fn body(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    let older = OLDER.iter().filter_map(|layout| layout.root);
    let roots: Vec<(Kind, u8)> = KINDS.iter().copied().chain(older).collect();
    let (kind, version) = roots[usize::from(*first) % roots.len()];
    let body = &rest[..rest.len().min(kind.body_bytes_max())];
    let frame = Frame::build(kind, version, 7, body);
    let verdict = check(&frame);
    if let Err(refusal) = &verdict {
        assert!(refusal.path.len() + refusal.text.len() < 500, "a Reject must fit its kind");
        assert!(!refusal.text.contains("0x"), "an address in {}", refusal.text);
    }
    match encode_again(&frame) {
        None => assert_eq!(verdict.map_err(|refusal| refusal.code), Err(Code::Malformed)),
        Some(again) if again == frame => {
            assert!(verdict.is_ok() || verdict.is_err_and(|refusal| refusal.code == Code::Limit));
        }
        Some(_) => assert_eq!(verdict.map_err(|refusal| refusal.code), Err(Code::NotCanonical)),
    }
}

fn encode_again(frame: &Frame) -> Option<Frame> {
    macro_rules! by_kind {
        ($($root:ident)*) => {
            match (frame.kind(), frame.header().version) {
                $((<$root as Body>::KIND, <$root as Body>::VERSION) => read::<$root>(frame).map(|value| encode(frame.header().id, &value)),)*
                other => panic!("{other:?} has no type"),
            }
        };
    }
    by_kind!(SendText SendTextV2 EditText Recall Recalled React Pin GetAbout About CreateGroup AddMembers RemoveMember LeaveGroup RenameGroup SetRole InviteMembers JoinGroup GrowGroup Erase MuteMember BanMember UnbanMember SetSlow SetPrefs SetDraft Hide Hello Welcome WelcomeV2 Reauth
        Heartbeat GoingAway Done SendAck Complete CursorAck GetHistory GetHistoryV2 HistoryPage HistoryPageV2 GetMembers Members MembersV2 GetChannels GetChannelsV2 Channels ChannelsV2
        MarkRead GetThread Thread GetMentions MarkDelivered Receipts GetReceipts Typing Mentions GetNotes Notes GetRules Rules Heads
        Watch Unwatch Presence SetPresence Idle GetPresence GetOwnPresence OwnPresence
        SubscribePush UnsubscribePush SetPush GetPush Push Reject)
}

/// Any bytes as what a WebSocket peer sends: no panic, nothing held in the end that did not come, and the same events
/// and the same fault whether they come at once or in pieces.
pub fn ws(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    let role = if first & 1 == 0 { Role::Server } else { Role::Client };
    let piece = usize::from(first >> 1).max(1);
    let (at_once, whole) = ws_events(role, rest, rest.len().max(1));
    let (in_pieces, cut) = ws_events(role, rest, piece);
    assert_eq!(at_once, in_pieces);
    assert_eq!(whole, cut);
}

fn ws_events(role: Role, data: &[u8], piece: usize) -> (Vec<String>, Option<protocol::ws::WsFault>) {
    let mut decoder = Decoder::new(role, 4096);
    let mut events = Vec::new();
    for chunk in data.chunks(piece) {
        let mut chunk = chunk.to_vec();
        let mut sink = |event: Event<'_>| {
            events.push(format!("{event:?}"));
            true
        };
        match decoder.push(&mut chunk, &mut sink) {
            Ok(taken) => assert_eq!(taken, chunk.len()),
            Err(fault) => return (events, Some(fault)),
        }
        assert!(decoder.held_bytes() <= 4096 + 256);
        assert!(!decoder.is_idle() || decoder.held_bytes() == 0);
    }
    (events, None)
}

/// Any bytes as a batch and as row values: no panic, and what is taken has exactly these bytes as its encoding.
pub fn batch(data: &[u8]) {
    if let Ok(batch) = Batch::decode(data) {
        assert_eq!(batch.encode(), data);
    }
    if let Some(row) = ChannelRow::decode(data) {
        assert_eq!(row.encode(), data);
    }
    if let Some(row) = IntervalRow::decode(data) {
        assert_eq!(row.encode(), data);
    }
    if let Some(row) = PositionRow::decode(data) {
        assert_eq!(row.encode(), data);
    }
    if let Some(row) = DeviceRow::decode(data) {
        assert_eq!(row.encode(), data);
    }
    if let Some(row) = AccountRow::decode(data) {
        assert_eq!(row.encode(), data);
    }
}

/// The keys of tokens that are checked.
pub fn token_keys() -> [Key; 2] {
    [Key { id: 3, secret: [3; 32] }, Key { id: 7, secret: [7; 32] }]
}

/// Any text as a token: no panic, and what is taken is byte by byte what one of the keys signs for these claims.
pub fn token(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let keys = token_keys();
    if let Ok(claims) = verify(&keys, text, 1) {
        assert!(keys.iter().any(|key| sign(key, &claims) == text), "another spelling: {text}");
    }
}
