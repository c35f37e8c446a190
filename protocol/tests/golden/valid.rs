//! The valid vectors. Names and what they stand for are frozen; new ones may be added.

use protocol::body::about::{
    About, AboutItem, EditText, GetAbout, Pin, PinItem, React, ReactionItem, ReactorItem, Recall, Recalled,
};
use protocol::body::erase::Erase;
use protocol::body::large::{HeadItem, Heads};
use protocol::body::list::{ChannelDetail, ChannelsV2, GetChannelsV2, GetHistoryV2, HistoryPageV2};
use protocol::body::marks::{
    GetReceipts, MarkDelivered, ReceiptItem, Receipts, TYPING_GOES_ON, TYPING_STOPPED, Typing,
};
use protocol::body::message::{
    AddMembers, CreateGroup, GrowGroup, InviteMembers, JoinGroup, LeaveGroup, RemoveMember, RenameGroup,
    SendText, SetRole,
};
use protocol::body::own::{DraftItem, GetNotes, HiddenItem, Hide, Notes, SetDraft, SetPrefs};
use protocol::body::presence::{
    GetOwnPresence, GetPresence, Idle, OwnPresence, Presence, PresenceItem, PresentDevice,
    STATE_DO_NOT_DISTURB, STATE_OFFLINE, STATE_ONLINE, STATE_UNKNOWN, SetPresence, Unwatch, Watch,
};
use protocol::body::push::{GetPush, Push, PushItem, SetPush, SubscribePush, UnsubscribePush};
use protocol::body::rules::{
    BanMember, GetRules, MUTED_FOR_EVER_S, MuteMember, Rules, SanctionItem, SetSlow, UnbanMember,
};
use protocol::body::session::{
    Done, GoingAway, Heartbeat, Hello, KindVersion, Reauth, Reject, Welcome, WelcomeV2,
};
use protocol::body::sync::{
    ChannelItem, Channels, Complete, CursorAck, GetChannels, GetHistory, GetMembers, HistoryPage, MarkRead,
    MemberItem, Members, MembersV2, SendAck,
};
use protocol::body::talk::{GetMentions, GetThread, MentionCount, MentionItem, Mentions, SendTextV2, Thread};
use protocol::body::{Body, encode};
use protocol::{Frame, Seq, Stamp, UserId};

const ID: u64 = 0x1122_3344_5566_7788;
const GROUP: u128 = 0x0fed_cba9_8765_4321;
const DIRECT: u128 = 0x0000_0000_0000_0005_0000_0000_0000_0009;
const OWN: u128 = 0x0000_0000_0000_0005_0000_0000_0000_0005;
const TIME_MS: u64 = 1_790_000_000_000;
const U53_MAX: u64 = (1 << 53) - 1;

pub(crate) struct Valid {
    pub(crate) name: String,
    pub(crate) root: &'static str,
    pub(crate) frame: Frame,
}

fn vector<T: Body>(name: &str, value: &T) -> Valid {
    let root = core::any::type_name::<T>().rsplit("::").next().expect("a name");
    Valid { name: name.to_owned(), root, frame: encode(ID, value) }
}

fn stamped(name: &str, sent: &Valid, seq: u64, time_ms: u64, sender: u64) -> Valid {
    let frame = sent.frame.clone().stamp(Stamp { seq: Seq(seq), time_ms, sender: UserId(sender) });
    Valid { name: name.to_owned(), root: sent.root, frame }
}

fn text(text: &str) -> SendText {
    SendText { channel: GROUP, text: text.to_owned() }
}

pub(crate) fn all() -> Vec<Valid> {
    let mut all = messages();
    all.extend(lengths());
    all.extend(session());
    all.extend(sync());
    all.extend(talk());
    all.extend(said());
    all.extend(marks());
    all.extend(own());
    all.extend(presence());
    all.extend(push());
    all.extend(lists());
    all.extend(rules());
    all
}

fn messages() -> Vec<Valid> {
    let name = || "the weekly plan".to_owned();
    let five = vector("send_text", &text("see you at 5"));
    let hangul = vector("send_text_hangul", &text("마루에서 만나요"));
    vec![
        stamped("send_text_stamped", &five, 7, TIME_MS, 170),
        stamped("send_text_hangul_stamped_max", &hangul, U53_MAX, U53_MAX, u64::MAX),
        five,
        hangul,
        vector("send_text_direct", &SendText { channel: DIRECT, text: "ok".to_owned() }),
        vector("send_text_bom", &text("\u{feff}a byte order mark is a character")),
        vector("send_text_bom_inline", &text("\u{feff}a")),
        vector("send_text_nul", &text("\0")),
        vector("send_text_astral", &text("😀🏳️‍🌈")),
        vector("send_text_noncharacter", &text("\u{ffff}\u{10ffff}")),
        vector("create_group", &CreateGroup { channel: GROUP, name: name(), members: vec![1, 2, 9] }),
        vector("create_group_alone", &CreateGroup { channel: GROUP, name: name(), members: vec![] }),
        vector(
            "create_group_short_name",
            &CreateGroup { channel: GROUP, name: "마루".to_owned(), members: vec![u64::MAX] },
        ),
        vector("add_members", &AddMembers { channel: GROUP, members: vec![3, 4] }),
        vector("add_members_max", &AddMembers { channel: u128::from(u64::MAX), members: vec![u64::MAX] }),
        vector("remove_member", &RemoveMember { channel: GROUP, member: 9 }),
        vector("leave_group", &LeaveGroup { channel: GROUP }),
        vector("rename_group", &RenameGroup { channel: GROUP, name: name() }),
        vector("set_role", &SetRole { channel: GROUP, member: 9, role: 1 }),
        vector("invite_members", &InviteMembers { channel: GROUP, members: vec![3, 4] }),
        vector("join_group", &JoinGroup { channel: GROUP }),
        vector("grow_group", &GrowGroup { channel: GROUP }),
        vector("erase", &Erase { channel: GROUP }),
    ]
}

/// What is laid down for a group.
fn rules() -> Vec<Valid> {
    let mute = |for_s| MuteMember { channel: GROUP, member: 9, for_s };
    let item = |user, muted_until_ms, is_banned| SanctionItem { user, muted_until_ms, is_banned };
    let page = |items, more| Rules { channel: GROUP, interval_s: 30, items, more };
    vec![
        vector("mute_member", &mute(3600)),
        vector("mute_member_for_ever", &mute(MUTED_FOR_EVER_S)),
        vector("mute_member_lifted", &mute(0)),
        vector("ban_member", &BanMember { channel: GROUP, member: 9 }),
        vector("unban_member", &UnbanMember { channel: GROUP, member: u64::MAX }),
        vector("set_slow", &SetSlow { channel: GROUP, interval_s: 30 }),
        vector("set_slow_max", &SetSlow { channel: GROUP, interval_s: 21_600 }),
        vector("get_rules", &GetRules { channel: GROUP, after: 0, limit: 500 }),
        vector("rules", &page(vec![item(5, TIME_MS, false), item(9, U53_MAX, true)], true)),
        vector("rules_none", &Rules { interval_s: 0, ..page(vec![], false) }),
    ]
}

/// A user's own channel: what is saved and noted there.
fn own() -> Vec<Valid> {
    let prefs = SetPrefs {
        channel: OWN,
        about: GROUP,
        muted_until_ms: U53_MAX,
        pinned: 2,
        marked_unread: true,
        notify: 1,
        archived: true,
    };
    let plain =
        SetPrefs { muted_until_ms: 0, pinned: 0, marked_unread: false, notify: 0, archived: false, ..prefs };
    let draft = |text: &str| SetDraft { channel: OWN, about: GROUP, thread: 7, text: text.to_owned() };
    let get = GetNotes { about: 0, after_about: 0, after: 0, what: 0, limit: 500 };
    let item = DraftItem { about: GROUP, thread: 0, time_ms: TIME_MS, text: "to be continued".to_owned() };
    let hidden = HiddenItem { about: DIRECT, at: 9, seq: 3, through: 5 };
    vec![
        vector("send_text_own", &SendText { channel: OWN, text: "milk, eggs".to_owned() }),
        vector("set_prefs", &prefs),
        vector("set_prefs_none", &plain),
        vector("set_draft", &draft("I wanted to say that")),
        vector("set_draft_none", &draft("")),
        vector("hide", &Hide { channel: OWN, about: DIRECT, seq: 3, through: 5 }),
        vector("get_notes", &get),
        vector(
            "get_notes_hidden",
            &GetNotes { about: DIRECT, after_about: DIRECT, after: 9, what: 1, ..get },
        ),
        vector("notes_drafts", &Notes { drafts: vec![item], hidden: vec![], more: true }),
        vector("notes_hidden", &Notes { drafts: vec![], hidden: vec![hidden], more: false }),
    ]
}

/// Second versions of lists and windows.
fn lists() -> Vec<Valid> {
    let item =
        ChannelItem { channel: GROUP, head: 12, read: 10, unread: 2, member: true, name: "plans".to_owned() };
    let detail = ChannelDetail {
        mentions: 1,
        last_seq: 12,
        last_sender: 170,
        last_ms: TIME_MS,
        last_kind: 0x0101,
        muted_until_ms: 0,
        pinned: 1,
        notify: 0,
        marked_unread: false,
        archived: false,
        has_draft: true,
        text: "마루에서 만나요".to_owned(),
    };
    let page = ChannelsV2 {
        generation: 1,
        through: 42,
        next: 17,
        needs_snapshot: false,
        details: vec![detail],
        items: vec![item],
        more: true,
    };
    let none = ChannelsV2 { details: vec![], items: vec![], more: false, needs_snapshot: true, ..page };
    let around = |around, at| {
        let (channel, before) = (GROUP, U53_MAX);
        GetHistoryV2 { at, around, channel, after: 0, before, limit: 50, newest: false }
    };
    let window = HistoryPageV2 {
        pivot: 7,
        more_before: true,
        more_after: false,
        channel: GROUP,
        from: 5,
        to: 9,
        head: 9,
        count: 5,
        more: true,
    };
    vec![
        vector("get_channels_v2", &GetChannelsV2 { generation: 0, at: 0, order: 0, after: 9, limit: 200 }),
        vector(
            "get_channels_v2_recent",
            &GetChannelsV2 { generation: 1, at: 17, order: 1, after: 0, limit: 20 },
        ),
        vector(
            "get_channels_v2_changed",
            &GetChannelsV2 { generation: 1, at: 42, order: 2, after: 0, limit: 20 },
        ),
        vector("channels_v2", &page),
        vector("channels_v2_snapshot", &none),
        vector("get_history_v2", &GetHistoryV2 { after: 7, newest: true, ..around(0, 0) }),
        vector("get_history_v2_seq", &around(1, 7)),
        vector("get_history_v2_time", &around(2, TIME_MS)),
        vector("get_history_v2_unread", &around(3, 0)),
        vector("history_page_v2", &window),
    ]
}

/// Strings at the lengths where their form changes.
fn lengths() -> Vec<Valid> {
    let mut all = Vec::new();
    for len in [1, 7, 8, 9, 63, 64, 65, 127, 128, 255, 256, 16_384] {
        all.push(vector(&format!("text_{len}_bytes"), &text(&"a".repeat(len))));
    }
    all.push(vector("text_100000_characters", &text(&"a".repeat(100_000))));
    all.push(vector("text_100000_hangul", &text(&"한".repeat(100_000))));
    all.push(vector("text_100000_astral", &text(&"😀".repeat(100_000))));
    for len in [0, 8, 9, 63, 64] {
        let reject = Reject { code: 6, retry_after_ms: 0, path: "p".repeat(len), text: "t".repeat(len) };
        all.push(vector(&format!("reject_{len}_bytes"), &reject));
    }
    all
}

pub(crate) fn with_pace(v1: &Welcome, tokens_per_s: u32, tokens_burst: u32, token_bytes: u32) -> WelcomeV2 {
    WelcomeV2 {
        tokens_per_s,
        tokens_burst,
        token_bytes,
        user: v1.user,
        device: v1.device,
        generation: v1.generation,
        start: v1.start,
        head: v1.head,
        time_ms: v1.time_ms,
        expires_ms: v1.expires_ms,
        heartbeat_ms: v1.heartbeat_ms,
        group_members_max: v1.group_members_max,
        kinds: v1.kinds.clone(),
    }
}

fn session() -> Vec<Valid> {
    let kinds = vec![KindVersion { kind: 0x0101, version: 1 }, KindVersion { kind: 0x0201, version: 1 }];
    let welcome = Welcome {
        user: 170,
        device: 171,
        generation: 1,
        start: 40,
        head: 42,
        time_ms: TIME_MS,
        expires_ms: TIME_MS + 3_600_000,
        heartbeat_ms: 30_000,
        group_members_max: 100,
        kinds,
    };
    let largest = Welcome {
        user: u64::MAX,
        device: u64::MAX,
        generation: U53_MAX,
        start: U53_MAX,
        head: U53_MAX,
        time_ms: U53_MAX,
        expires_ms: U53_MAX,
        heartbeat_ms: u32::MAX,
        group_members_max: u32::MAX,
        kinds: vec![],
    };
    let reject = Reject {
        code: 6,
        retry_after_ms: 0,
        path: "members[3]".to_owned(),
        text: "user ids must rise, without 0 and without repeats".to_owned(),
    };
    vec![
        vector("hello", &Hello { generation: 1, cursor: 40, token: "m1.example.token".to_owned() }),
        vector("hello_first", &Hello { generation: 0, cursor: 0, token: "t".to_owned() }),
        vector("hello_max", &Hello { generation: U53_MAX, cursor: U53_MAX, token: "t".repeat(8192) }),
        vector("welcome", &welcome),
        vector("welcome_max", &largest),
        vector("welcome_v2", &with_pace(&welcome, 200, 1000, 4096)),
        vector("welcome_v2_max", &with_pace(&largest, u32::MAX, u32::MAX, u32::MAX)),
        vector("reauth", &Reauth { token: "m1.example.token".to_owned() }),
        vector("heartbeat", &Heartbeat { time_ms: TIME_MS }),
        vector("heartbeat_max", &Heartbeat { time_ms: U53_MAX }),
        vector("going_away", &GoingAway { reconnect_after_ms: 1500, reason: 1001 }),
        vector("done", &Done { kind: 0x030a }),
        vector("reject", &reject),
        vector(
            "reject_retry",
            &Reject { code: 8, retry_after_ms: 1500, path: String::new(), text: "slow down".to_owned() },
        ),
    ]
}

fn sync() -> Vec<Valid> {
    let group = ChannelItem {
        channel: GROUP,
        head: 12,
        read: 10,
        unread: 2,
        member: true,
        name: "the weekly plan".to_owned(),
    };
    let direct =
        ChannelItem { channel: DIRECT, head: 3, read: 3, unread: 0, member: true, name: String::new() };
    let item = |user, role| MemberItem { user, joined: 1, role };
    let history = GetHistory { channel: GROUP, after: 0, before: U53_MAX, limit: 50, newest: true };
    vec![
        vector("send_ack", &SendAck { channel: GROUP, seq: 7, time_ms: TIME_MS }),
        vector("complete", &Complete { generation: 1, from: 40, to: 42, head: 42 }),
        vector("cursor_ack", &CursorAck { generation: 1, cursor: 42 }),
        vector("get_history", &history),
        vector("get_history_forward", &GetHistory { after: 7, newest: false, limit: 200, ..history }),
        vector(
            "history_page",
            &HistoryPage { channel: GROUP, from: 5, to: 7, head: 7, count: 3, more: true },
        ),
        vector("get_members", &GetMembers { channel: GROUP, after: 0, limit: 500 }),
        vector("members", &Members { channel: GROUP, items: vec![item(1, 2), item(9, 0)], more: false }),
        vector(
            "members_v2",
            &MembersV2 { total: 320, channel: GROUP, items: vec![item(1, 2), item(9, 0)], more: true },
        ),
        vector("members_none", &Members { channel: GROUP, items: vec![], more: false }),
        vector("get_channels", &GetChannels { after: 0, limit: 500 }),
        vector("get_channels_max", &GetChannels { after: u128::MAX, limit: 1 }),
        vector("channels", &Channels { items: vec![group.clone(), direct], more: false }),
        vector("channels_two_names", &Channels { items: vec![group.clone(), group], more: true }),
        vector("channels_none", &Channels { items: vec![], more: false }),
        vector("mark_read", &MarkRead { channel: GROUP, seq: 12 }),
    ]
}

/// Texts of version 2, threads and mentions.
fn talk() -> Vec<Valid> {
    let plain = SendTextV2 {
        reply_to: 0,
        thread: 0,
        forwarded_from: 0,
        mentions: vec![],
        mention_flags: 0,
        channel: GROUP,
        text: "see you at 5".to_owned(),
    };
    let full = SendTextV2 {
        reply_to: 7,
        thread: 3,
        forwarded_from: 170,
        mentions: vec![1, 2, 9],
        mention_flags: 1,
        ..plain.clone()
    };
    let most = SendTextV2 {
        reply_to: U53_MAX,
        thread: U53_MAX,
        forwarded_from: u64::MAX,
        mentions: (u64::MAX - 49..=u64::MAX).collect(),
        mention_flags: 3,
        channel: GROUP,
        text: "마루".to_owned(),
    };
    let v2 = vector("send_text_v2", &full);
    let item = |at, seq| MentionItem { at, channel: GROUP, seq, time_ms: TIME_MS, sender: 170 };
    let thread = GetThread { channel: GROUP, root: 3, after: 0, before: U53_MAX, limit: 50, newest: true };
    let page = Thread { channel: GROUP, root: 3, from: 1, to: 9, total: 3, newest: 9, count: 3, more: false };
    let unread = vec![MentionCount { channel: GROUP, unread: 1 }];
    vec![
        stamped("send_text_v2_stamped", &v2, 9, TIME_MS, 170),
        v2,
        vector("send_text_v2_plain", &plain),
        vector("send_text_v2_short", &SendTextV2 { text: "ok".to_owned(), reply_to: 7, ..plain.clone() }),
        vector("send_text_v2_max", &most),
        vector("send_text_v2_direct", &SendTextV2 { channel: DIRECT, mentions: vec![9], ..plain }),
        vector("get_thread", &thread),
        vector("get_thread_forward", &GetThread { after: 7, newest: false, limit: 200, ..thread }),
        vector("thread", &page),
        vector("get_mentions", &GetMentions { before: U53_MAX, limit: 100 }),
        vector("mentions", &Mentions { items: vec![item(41, 9), item(40, 7)], unread, more: true }),
        vector("mentions_none", &Mentions { items: vec![], unread: vec![], more: false }),
    ]
}

/// What is said about messages.
fn said() -> Vec<Valid> {
    let edit = |text: &str| EditText { channel: GROUP, target: 7, text: text.to_owned() };
    let react = |emoji: &str, on| React { channel: GROUP, target: 7, on, emoji: emoji.to_owned() };
    let edited = vector("edit_text", &edit("see you at 6"));
    let get = GetAbout { channel: GROUP, from: 1, through: U53_MAX, limit: 200, who: false };
    let reaction = |seq, emoji: &str, count, own| ReactionItem { seq, count, own, emoji: emoji.to_owned() };
    let items = vec![
        AboutItem { seq: 7, edited: 9, edits: 1, text: "see you at 6".to_owned() },
        AboutItem { seq: 8, edited: 0, edits: 0, text: String::new() },
    ];
    let page = About {
        channel: GROUP,
        from: 1,
        to: 12,
        pins: vec![PinItem { seq: 7, by: 11 }],
        items,
        reactions: vec![reaction(7, "👍", 2, true), reaction(7, "👩‍👩‍👧‍👦", 1, false), reaction(8, "ok", 1, false)],
        who: vec![],
        more: false,
    };
    let who = About {
        pins: vec![],
        items: vec![AboutItem { seq: 8, edited: 0, edits: 0, text: String::new() }],
        reactions: vec![reaction(8, "ok", 1, false)],
        who: vec![ReactorItem { seq: 8, user: 170, reaction: 0 }],
        more: true,
        ..page
    };
    let none = About { from: 0, to: 0, items: vec![], reactions: vec![], who: vec![], ..who.clone() };
    let recalled = Recalled { channel: GROUP, target: 7, by: 12, user: 170, time_ms: TIME_MS + 60_000 };
    let tombstone = vector("recalled", &recalled);
    vec![
        stamped("edit_text_stamped", &edited, 9, TIME_MS, 170),
        edited,
        vector("edit_text_direct", &EditText { channel: DIRECT, target: U53_MAX, text: "ok".to_owned() }),
        vector("recall", &Recall { channel: GROUP, target: 7 }),
        vector("recall_direct", &Recall { channel: DIRECT, target: U53_MAX }),
        stamped("recalled_stamped", &tombstone, 7, TIME_MS, 170),
        stamped("recalled_edit", &vector("recalled", &recalled), 9, TIME_MS, 170),
        tombstone,
        vector("react", &react("👍", true)),
        vector("react_composed", &react("👩‍👩‍👧‍👦", true)),
        vector("react_back", &react("👍", false)),
        vector("pin", &Pin { channel: GROUP, target: 7, on: true }),
        vector("pin_down", &Pin { channel: DIRECT, target: 1, on: false }),
        vector("get_about", &get),
        vector("get_about_who", &GetAbout { from: 8, through: 8, limit: 1, who: true, ..get }),
        vector("about", &page),
        vector("about_who", &who),
        vector("about_none", &none),
    ]
}

fn presence() -> Vec<Valid> {
    let item = |user, state, last_active_ms, status: &str| PresenceItem {
        user,
        state,
        last_active_ms,
        status_until_ms: if status.is_empty() { 0 } else { TIME_MS },
        status: status.to_owned(),
    };
    let set = |shows, status: &str| SetPresence { shows, status_until_ms: 0, status: status.to_owned() };
    let device = |device, state| PresentDevice { device, state, seen_ms: TIME_MS };
    let own = |devices| OwnPresence {
        state: STATE_OFFLINE,
        shows: 3,
        status_until_ms: U53_MAX,
        status: "at sea".to_owned(),
        devices,
    };
    let shown = vec![
        item(5, STATE_ONLINE, 0, "차 마시는 중"),
        item(7, STATE_OFFLINE, TIME_MS, ""),
        item(9, STATE_UNKNOWN, 0, ""),
    ];
    let devices = vec![device(1, STATE_ONLINE), device(2, STATE_OFFLINE)];
    vec![
        vector("watch", &Watch { users: vec![5, 7, 9] }),
        vector("watch_500", &Watch { users: (1..=500).collect() }),
        vector("unwatch", &Unwatch { users: vec![7] }),
        vector("presence", &Presence { items: shown }),
        vector("presence_one", &Presence { items: vec![item(5, STATE_DO_NOT_DISTURB, 0, "")] }),
        vector("set_presence", &set(2, "in a meeting")),
        vector("set_presence_none", &set(0, "")),
        vector("set_presence_128", &set(3, &"😀".repeat(128))),
        vector("idle", &Idle { is_idle: true }),
        vector("idle_over", &Idle { is_idle: false }),
        vector("get_presence", &GetPresence { users: vec![5, u64::MAX] }),
        vector("get_own_presence", &GetOwnPresence { device: 0 }),
        vector("own_presence", &own(devices)),
        vector("own_presence_none", &own(vec![])),
    ]
}

fn push() -> Vec<Valid> {
    let wish = |provider, address: &str| SubscribePush {
        provider,
        address: address.to_owned(),
        ..SubscribePush::default()
    };
    let browser = SubscribePush {
        preview: 2,
        language: 1,
        quiet_from: 1380,
        quiet_until: 420,
        zone: "Asia/Seoul".into(),
        p256dh: "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
            .into(),
        secret: "BTBZMqHH6r4Tts7J_aSIgg".into(),
        ..wish(1, "https://push.example.net/push/JzLQ3raZJfFBR0aqvOMsLrt54w4rJUsV")
    };
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned();
    let item = |device, provider| PushItem { device, provider, created_ms: TIME_MS };
    vec![
        vector("subscribe_push", &browser),
        vector("subscribe_push_webhook", &SubscribePush { secret, ..wish(2, "https://example.net/maru") }),
        vector(
            "subscribe_push_apns",
            &wish(4, "00fc13adff785122b4ad28809a3420982341241421348097878e577c991de8f0"),
        ),
        vector("subscribe_push_2048", &wish(3, &"a".repeat(2048))),
        vector("unsubscribe_push", &UnsubscribePush { device: 0, provider: 1 }),
        vector("set_push", &SetPush { is_off: true }),
        vector("get_push", &GetPush { device: 0 }),
        vector("push", &Push { is_off: false, key: "BA1Hxzyi".into(), items: vec![item(1, 1), item(2, 4)] }),
        vector("push_none", &Push { is_off: true, key: String::new(), items: vec![] }),
    ]
}

fn marks() -> Vec<Valid> {
    let item = |user, read, delivered| ReceiptItem { user, read, delivered };
    let receipts = |items, more| Receipts { channel: GROUP, items, more };
    let typing = |user, expires_ms, state| Typing { channel: GROUP, user, expires_ms, state };
    vec![
        vector("mark_delivered", &MarkDelivered { channel: GROUP, seq: 12 }),
        vector("mark_delivered_max", &MarkDelivered { channel: DIRECT, seq: U53_MAX }),
        vector("receipts", &receipts(vec![item(9, 10, 12)], false)),
        vector("receipts_page", &receipts(vec![item(1, 0, 0), item(9, 12, 12)], true)),
        vector("receipts_none", &receipts(vec![], false)),
        vector("get_receipts", &GetReceipts { channel: GROUP, after: 0, limit: 100 }),
        vector("get_receipts_max", &GetReceipts { channel: DIRECT, after: u64::MAX, limit: 500 }),
        vector("typing_said", &typing(0, 0, TYPING_GOES_ON)),
        vector("typing_shown", &typing(9, 10_000, TYPING_GOES_ON)),
        vector("typing_stopped", &typing(9, 0, TYPING_STOPPED)),
        vector("heads", &Heads { items: vec![HeadItem { channel: GROUP, head: 12 }] }),
        vector("heads_none", &Heads { items: vec![] }),
    ]
}
